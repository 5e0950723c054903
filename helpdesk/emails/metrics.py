from prometheus_client import Counter

EMAILS = Counter("helpdesk_emails_total", "Attempts to send an e-mail, by outcome.", ["kind", "outcome"])
