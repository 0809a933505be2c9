"""Every body of a request is valid by botocore's own model of the service; nothing is sent."""

import json
import re

import botocore.session
import pytest
from botocore.validate import ParamValidator

from pytest_slmsec.cli.main import main
from pytest_slmsec.core.errors import UsageError
from pytest_slmsec.sagemaker.request import read_job

JOB = {
    "kind": "processing", "name": "slmsec-gate-1", "image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/slmsec:1",
    "role": "arn:aws:iam::123456789012:role/SlmsecJob", "instance": "ml.g5.xlarge", "output": "s3://soc/results/",
    "command": "pytest benchmarks --model={weights} --slmsec-data={data}",
}  # fmt: skip
TABLES = '[inputs]\nweights = "s3://soc/weights/"\ndata = "s3://soc/data/"\n[environment]\nOMP_NUM_THREADS = "4"\n'


def toml(tmp_path, tables=TABLES, **changed):
    path = tmp_path / "job.toml"
    fields = {name: value for name, value in {**JOB, **changed}.items() if value is not None}
    path.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in fields.items()) + tables, "utf-8")
    return path


def problems(body):
    """What botocore finds wrong with a body, and every text that breaks the pattern of its field."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    shape = model.operation_model(
        "CreateTrainingJob" if "TrainingJobName" in body else "CreateProcessingJob"
    ).input_shape
    return ParamValidator().validate(body, shape).generate_report(), list(unfit(body, shape))


def unfit(value, shape):
    """ParamValidator knows types and lengths; patterns and longest texts are checked here."""
    if shape.type_name == "structure":
        for name, one in value.items():
            yield from unfit(one, shape.members[name])
    elif shape.type_name == "list":
        for one in value:
            yield from unfit(one, shape.member)
    elif shape.type_name == "map":
        for one in value.values():
            yield from unfit(one, shape.value)
    elif shape.type_name == "string":
        pattern, most = shape.metadata.get("pattern"), shape.metadata.get("max")
        if (
            (most and len(value) > most)
            or (pattern and not re.match(pattern, value))
            or value not in (shape.enum or [value])
        ):
            yield shape.name, value


@pytest.mark.parametrize("changed", [
    {}, {"tables": ""}, {"max_hours": 0.5, "volume_gb": 200, "network": True},
    {"kind": "training", "command": "slmsec finetune {train}/soc.toml --out {model}/adapter"},
    {"kind": "training", "tables": "", "checkpoints": "s3://soc/checkpoints/"},
])  # fmt: skip
def test_bodies_are_valid(tmp_path, changed):
    body = read_job(toml(tmp_path, **changed))
    assert problems(body) == ("", [])


def test_the_check_finds_what_is_wrong(tmp_path):
    body = read_job(toml(tmp_path))
    body["RoleArn"], body["ProcessingResources"]["ClusterConfig"]["InstanceType"] = "me", "ml.none"
    del body["AppSpecification"]
    report, found = problems(body)
    assert "AppSpecification" in report
    assert {value for _, value in found} == {"me", "ml.none"}


def test_channels_stand_where_the_entry_point_looks_for_them(tmp_path):
    body = read_job(toml(tmp_path))
    assert [one["S3Input"]["LocalPath"] for one in body["ProcessingInputs"]] == [
        "/opt/ml/processing/input/weights", "/opt/ml/processing/input/data",
    ]  # fmt: skip
    assert body["AppSpecification"]["ContainerArguments"][0] == "pytest"
    assert body["NetworkConfig"]["EnableNetworkIsolation"] is True


@pytest.mark.parametrize(("changed", "says"), [
    ({"image": None}, "lacks image"), ({"kind": "batch"}, "write 'training' or 'processing'"),
    ({"nmae": "x"}, "unknown key 'nmae'; did you mean 'name'"), ({"name": "a_b"}, "single hyphens"),
    ({"role": "me"}, "write the ARN of a role"), ({"output": "/tmp"}, "write an address s3://BUCKET/FOLDER"),
    ({"command": "bash -c x"}, "begin with pytest or slmsec"), ({"command": "pytest 'x"}, "close its quotes"),
    ({"max_hours": 0}, "write hours above 0"), ({"volume_gb": 1.5}, "write a whole number above 0"),
    ({"checkpoints": "s3://soc/x"}, "only training jobs have checkpoints"), ({"network": "no"}, "write true or false"),
    ({"tables": "[inputs]\ndata = 'data'"}, "write an address s3://BUCKET/FOLDER"),
    ({"tables": "[inputs]\n'a b' = 's3://x'"}, "'a b' is no name of a channel"),
    ({"tables": "[environment]\nX = 3"}, "write texts in quotes"), ({"tables": "[inputs"}, "is no valid TOML"),
    ({"command": "pytest " + "x" * 300}, "words of at most 256"),
    ({"command": "pytest " + "x " * 2000, "kind": "training"}, "at most 2500 characters"),
])  # fmt: skip
def test_what_sagemaker_would_refuse_is_one_sentence(tmp_path, changed, says):
    with pytest.raises(UsageError, match=re.escape(says)) as caught:
        read_job(toml(tmp_path, **changed))
    assert "job.toml" in str(caught.value)


def test_the_verb_prints_the_body_alone_on_standard_output(tmp_path, capsys):
    assert main(["sagemaker", str(toml(tmp_path))]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == read_job(tmp_path / "job.toml")
    assert "aws sagemaker create-processing-job" in printed.err
    assert main(["sagemaker", "none.toml"]) == 2
