import pytest

from compose.embedded.errors import UserError
from compose.embedded.options import ROOT, Options, ProductionOptions


def test_the_defaults_are_the_documented_ones():
    options = Options({})

    assert (options.port, options.mail_port, options.flower_port) == (8000, 8025, 5555)
    assert options.data_dir == ROOT / ".data"
    assert options.demo_tickets == 1_000


def test_a_production_stack_has_a_port_and_a_folder_of_its_own():
    options = ProductionOptions({"PORT": "1", "DATA_DIR": "/data", "MAIL_PORT": "2"})

    assert (options.port, options.mail_port) == (8443, 2)
    assert options.data_dir == ROOT / ".data-production"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("PORT", "http"), ("PORT", "0"), ("PORT", "65536"), ("MAIL_PORT", "-1"), ("DEMO_TICKETS", "1.5")],
)
def test_a_senseless_value_is_refused_with_its_variable(variable, value):
    with pytest.raises(UserError, match=f"^{variable} is "):
        Options({variable: value})
