"""What the embedded stack raises."""


class Refusal(Exception):  # noqa: N818 -- it is an answer to a person, not a defect
    """A reason not to go on, told to the person in one line and without a trace."""
