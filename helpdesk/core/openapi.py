from drf_spectacular.openapi import AutoSchema


class ProblemAutoSchema(AutoSchema):
    pass
