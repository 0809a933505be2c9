"""docs/options.md is what the table of options says."""

from option_reference import PAGE, reference, section

from pytest_slmsec.config.options import PLUGIN_OPTIONS, Option


def test_the_page_is_up_to_date():
    assert PAGE.read_text("utf-8") == reference(), "run `python tests/option_reference.py` and commit docs/options.md"


def test_every_option_has_one_section():
    page = reference()
    for option in PLUGIN_OPTIONS:
        assert page.count(section(option)) == 1, option.flag


def test_a_section_says_how_an_option_is_typed_and_where_else_it_may_stand():
    option = Option("slmsec-limit", "Take N[:SEED] items of `cti-mcq`.", {"metavar": "N"}, env="SLMSEC_LIMIT")
    assert section(option) == (
        "### `--slmsec-limit=N`\n\nTake N\\[:SEED\\] items of `cti-mcq`.\n\n*Variable `SLMSEC_LIMIT`; key `limit`.*\n"
    )


def test_a_switch_takes_no_value_and_may_be_for_the_command_line_only():
    option = Option("slmsec-plan", "Print the plan.", {"action": "store_true"}, configurable=False)
    assert section(option) == "### `--slmsec-plan`\n\nPrint the plan.\n\n*Command line only.*\n"
