"""Counters of energy: RAPL with its wrap, a battery, NVML. The files of a machine are a tree made here: no machine of
the tests counts energy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_slmsec.meters import energy
from pytest_slmsec.meters.energy import Count, between, idle_power, read_counter
from pytest_slmsec.meters.nvml import NOT_ON_GPU, Gpu
from pytest_slmsec.meters.session import Meters, RemoteMeters

ON_CPU = Gpu(None, None, NOT_ON_GPU)
RAPL = "processor package (RAPL)"
RANGE = 262_143_328_850


def write(folder, **files):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")
    return folder


@pytest.fixture
def machine(tmp_path):
    """A tree with two packages, a part of one, and the platform, which counts the packages once more."""
    zones = tmp_path / "sys/class/powercap"
    for number, count in ((0, 1_000_000), (1, 5_000_000)):
        write(zones / f"intel-rapl:{number}", name=f"package-{number}", energy_uj=count, max_energy_range_uj=RANGE)
    write(zones / "intel-rapl:0:0", name="core", energy_uj=7, max_energy_range_uj=RANGE)
    write(zones / "intel-rapl:2", name="psys", energy_uj=9_000_000, max_energy_range_uj=RANGE)
    return tmp_path


def battery(root, name="BAT0", status="Discharging", **files):
    return write(root / "sys/class/power_supply" / name, type="Battery", status=status, **files)


def rapl(*counts, at=0.0, wraps_at=RANGE):
    return Count(RAPL, counts, (wraps_at,) * len(counts), at=at)


def test_all_packages_count_and_their_parts_do_not_count_twice(machine):
    before = read_counter(ON_CPU, machine)
    assert (before.source, before.microjoules) == (RAPL, (1_000_000, 5_000_000))
    write(machine / "sys/class/powercap/intel-rapl:0", energy_uj=3_500_000)
    spent = between(before, read_counter(ON_CPU, machine))
    assert (spent.energy_j, spent.source, spent.reason) == (2.5, RAPL, None)


@given(start=st.integers(0, RANGE), spent=st.integers(0, 10_000_000))
def test_a_counter_that_wraps_gives_what_was_spent(start, spent):
    after = start + spent if start + spent <= RANGE else start + spent - RANGE
    assert between(rapl(start, at=0), rapl(after, at=1)).energy_j == pytest.approx(spent / 1e6)


def test_a_counter_that_was_set_back_is_no_wrap():
    found = between(rapl(5_000_000, at=0), rapl(1_000_000, at=1))
    assert found.energy_j is None
    assert found.reason == f"the counter of the {RAPL} went backwards, from 5000000 to 1000000 microjoules"
    assert between(rapl(5, at=0, wraps_at=None), rapl(1, at=1, wraps_at=None)).energy_j is None


def test_a_counter_that_only_root_may_read_says_so(machine, monkeypatch):
    file = machine / "sys/class/powercap/intel-rapl:0/energy_uj"
    read_text = type(file).read_text

    def refuse(path, *args, **kwargs):  # root, as in a container, may read a file without permissions
        if path == file:
            raise PermissionError
        return read_text(path, *args, **kwargs)

    monkeypatch.setattr(type(file), "read_text", refuse)
    reason = read_counter(ON_CPU, machine).reason
    assert f"only root may read {file} (since CVE-2020-8694)" in reason
    assert reason.endswith("; no battery")


def test_a_counter_that_holds_no_number_is_named(machine):
    file = machine / "sys/class/powercap/intel-rapl:1/energy_uj"
    file.write_text("lots")
    assert f"{file} cannot be read (invalid literal" in read_counter(ON_CPU, machine).reason


def test_a_machine_without_counters_says_both(tmp_path):
    found = read_counter(ON_CPU, tmp_path)
    assert found.source is None
    assert found.reason == "this machine shows no RAPL counters (/sys/class/powercap); no battery"


@pytest.mark.parametrize(("files", "later", "joules"), [
    ({"energy_now": 40_000_000}, {"energy_now": 39_990_000}, 36.0),
    ({"charge_now": 3_000_000, "voltage_min_design": 11_100_000},
     {"charge_now": 2_999_000, "voltage_now": 12_000_000}, 39.96),
])  # fmt: skip
def test_a_battery_that_discharges_counts_the_whole_machine(tmp_path, files, later, joules):
    folder = battery(tmp_path, **files)
    before = read_counter(ON_CPU, tmp_path)
    write(folder, **later)
    after = read_counter(ON_CPU, tmp_path)
    spent = between(Count(before.source, before.microjoules, (None,), at=0.0),
                    Count(after.source, after.microjoules, (None,), at=10.0))  # fmt: skip
    assert spent.energy_j == pytest.approx(joules)
    assert spent.source == "battery, the whole machine"


@pytest.mark.parametrize(("status", "says"), [
    ("Charging", "the battery BAT0 does not discharge (Charging), so it does not tell what is used"),
    ("Discharging", "the battery BAT0 tells neither its energy nor its charge"),
])  # fmt: skip
def test_a_battery_that_does_not_tell_says_why(tmp_path, status, says):
    battery(tmp_path, status=status)
    assert read_counter(ON_CPU, tmp_path).reason.endswith(f"; {says}")


def test_a_plug_that_is_pulled_in_between_gives_no_energy(machine):
    pulled = Count("battery, the whole machine", (1,), (None,))
    assert between(read_counter(ON_CPU, machine), pulled).reason.startswith("the counter changed from")


def test_idle_power_is_that_of_a_second_without_work():
    counts = iter([rapl(0, at=10.0), rapl(6_000_000, at=12.0)])
    waited = []
    assert idle_power(lambda: next(counts), waited.append).watts == 3.0
    assert waited == [energy.IDLE_S]


def test_without_a_counter_nobody_waits():
    found = idle_power(lambda: Count(None, reason="no counter"), lambda seconds: pytest.fail("waited"))
    assert (found.watts, found.reason) == (None, "no counter")


def test_a_counter_that_stands_still_gives_no_idle_power():
    assert "did not move within 1 s" in idle_power(lambda: rapl(5, at=1.0), lambda seconds: None).reason


def test_a_batch_has_its_energy_and_idle_power_beside_it(machine, monkeypatch):
    monkeypatch.setattr(energy, "IDLE_S", 0.0)
    meters = Meters(machine)
    before = meters.begin()
    write(machine / "sys/class/powercap/intel-rapl:0", energy_uj=1_500_000)
    readings = meters.end(before)
    assert (readings["energy_j"], readings["energy_source"]) == (0.5, RAPL)
    assert readings["idle_power_w"] is None
    assert "did not move" in readings["reasons"]["idle_power_w"]


def test_the_energy_of_a_server_is_unknown_with_one_reason():
    meters = RemoteMeters()
    readings = meters.end(meters.begin())
    assert readings["energy_j"] is readings["idle_power_w"] is None
    assert set(readings["reasons"].values()) == {RemoteMeters.REASON}
