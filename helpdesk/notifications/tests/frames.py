"""The event frames of the contract, as literals."""


def ticket_created(ticket_id, *, title="Nuevo ticket", priority="high", created_by="alice"):
    return {
        "type": "ticket_created",
        "ticket": {"id": ticket_id, "title": title, "priority": priority, "status": "open", "created_by": created_by},
        "message": f"New ticket #{ticket_id}: {title}",
    }


def status_changed(ticket_id, *, title="Nuevo ticket"):
    return {
        "type": "status_changed",
        "ticket": {"id": ticket_id, "title": title, "old_status": "open", "new_status": "in_progress"},
        "message": f"Ticket #{ticket_id} status changed to In Progress",
    }


def comment_added(ticket_id, comment_id, *, title="Nuevo ticket", content="Estamos trabajando en esto..."):
    return {
        "type": "comment_added",
        "ticket": {"id": ticket_id, "title": title},
        "comment": {"id": comment_id, "author": "root", "content": content},
        "message": f"New comment on ticket #{ticket_id}",
    }
