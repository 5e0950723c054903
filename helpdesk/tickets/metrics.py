from prometheus_client import Counter

EVENTS_ANNOUNCED = Counter("helpdesk_events_announced_total", "Events announced to the listening apps.", ["kind"])
