"""docker-compose.yml read as a file: its schema, its secrets, its images, its order, its build."""

import copy
import re
import tomllib
from collections.abc import Callable
from typing import Any

import pytest

from tests.end_to_end.compose_file import (
    ROOT,
    VARIABLE,
    MissingVariable,
    env_file,
    interpolate,
    problems,
    read,
)

SECRETS = {
    "POSTGRES_PASSWORD": "database-secret",
    "PREFECT_LOGIN": "admin:prefect-secret",
    "MLFLOW_ADMIN_PASSWORD": "mlflow-secret-12",
    "MLFLOW_SECRET_KEY": "a-long-random-text",
}
FILES = ["docker-compose.yml", "docker-compose.gpu.yml"]

Content = dict[str, Any]


@pytest.fixture
def compose() -> Content:
    return read("docker-compose.yml", SECRETS)


@pytest.mark.parametrize("name", FILES)
def test_the_file_keeps_to_the_specification(name: str) -> None:
    assert problems(read(name, SECRETS)) == []


DEFECTS: list[tuple[str, Callable[[Content], Any]]] = [
    ("a misspelt key", lambda c: c["services"]["mlflow"].update(helthcheck={})),
    ("no condition", lambda c: c["services"]["worker"]["depends_on"].update(mlflow={})),
    (
        "an unknown condition",
        lambda c: c["services"]["worker"]["depends_on"]["mlflow"].update(condition="up"),
    ),
    ("a duration without a unit", lambda c: c["services"]["mlflow"]["healthcheck"].update(interval="10")),
    ("a check that is no command", lambda c: c["services"]["mlflow"]["healthcheck"].update(test=["python"])),
    ("a port without a number", lambda c: c["services"]["mlflow"].update(ports=["127.0.0.1:http"])),
    ("no services", lambda c: c.pop("services")),
]


@pytest.mark.parametrize(("name", "defect"), DEFECTS, ids=[name for name, _ in DEFECTS])
def test_a_planted_defect_is_seen(compose: Content, name: str, defect: Callable[[Content], Any]) -> None:
    planted = copy.deepcopy(compose)
    defect(planted)
    assert problems(planted), name


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("value", [None, ""])
def test_without_a_secret_nothing_starts(secret: str, value: str | None) -> None:
    others = {name: known for name, known in SECRETS.items() if name != secret}
    with pytest.raises(MissingVariable, match=rf"{secret} is missing a value: set it in \.env"):
        read("docker-compose.yml", others if value is None else others | {secret: value})


def test_the_example_has_every_variable_and_no_value() -> None:
    used = {
        match[2] or match[5]
        for name in FILES
        for match in VARIABLE.finditer((ROOT / name).read_text(encoding="utf-8"))
        if not match[1]
    }
    example = env_file(ROOT / "deploy" / ".env.example")
    assert used == set(example)
    assert not any(example.values())
    assert (
        read("docker-compose.yml", example | SECRETS)["services"]["worker"]["volumes"][1] == "./data:/data:ro"
    )


def test_variables_are_put_in_as_compose_does() -> None:
    known = {"A": "1", "EMPTY": ""}
    assert interpolate("$A-${A}-$$A-${B:-2}-${EMPTY:-3}-${EMPTY-4}-${A:?no}", known) == "1-1-$A-2-3--1"
    with pytest.raises(MissingVariable):
        interpolate("${B?no}", known)


def test_no_secret_is_in_a_command(compose: Content) -> None:
    for name, service in compose["services"].items():
        said = str(service.get("command")) + str(service.get("healthcheck"))
        assert not [secret for secret in SECRETS.values() if secret in said], name


def test_ports_are_open_on_this_machine_only(compose: Content) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == 4
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_images_are_pinned(compose: Content) -> None:
    images = {service["image"] for service in compose["services"].values()}
    docker = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    python = re.search(r"^ARG PYTHON=(.+)$", docker, re.M)
    assert python is not None
    for tag in {image.partition(":")[2] for image in images} | {python[1]}:
        assert re.match(r"\d+\.\d+(\.\d+)?\b", tag), tag


def test_what_a_service_waits_for_can_come_true(compose: Content) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], (name, other)
            else:
                assert services[other]["restart"] == "no", (name, other)
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source.startswith(".") or source in compose["volumes"], (name, mount)


def test_what_reads_studies_waits_for_what_makes_their_tables(compose: Content) -> None:
    readers = {
        name: service["depends_on"]
        for name, service in compose["services"].items()
        if "/optuna" in str(service) and name != "optuna-storage"
    }
    assert set(readers) == {"worker", "optuna-dashboard", "dashboard"}
    assert all("optuna-storage" in waits for waits in readers.values()), readers


def test_the_servers_are_those_of_the_constraints(compose: Content) -> None:
    docker = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    (asked,) = re.findall(r"^RUN pip install -c constraints\.txt (prefect .+)$", docker, re.M)
    names = {re.sub(r"\[.*", "", word.strip('"')) for word in asked.split()}
    assert {"prefect", "fastapi", "mlflow", "optuna", "optuna-dashboard"} <= names
    pinned = dict(
        re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.M)
    )
    assert names <= set(pinned)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    built = {service["image"] for service in compose["services"].values() if "build" in service}
    assert built == {f"mase:{project['version']}", f"mase-servers:{project['version']}"}


def test_the_gpu_file_changes_services_that_are_there(compose: Content) -> None:
    assert set(read("docker-compose.gpu.yml", {})["services"]) <= set(compose["services"])


def test_the_image_copies_what_there_is_and_what_its_commands_need(compose: Content) -> None:
    folder = ROOT / "deploy"
    sent = (folder / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert sent[0] == "*"
    sent = [line[1:] for line in sent if line.startswith("!")]
    assert not [path for path in sent if not (ROOT / path).exists()]
    copied = re.findall(r"^COPY (.+) \S+$", (folder / "Dockerfile").read_text(encoding="utf-8"), re.M)
    sources = [source for line in copied for source in line.split() if source != "."]
    assert set(sources) <= set(sent)
    needed = set(re.findall(r"/app/([\w./-]+)", str(compose["services"])))
    assert needed and needed <= set(sources)
    assert {"mase", "flows", "params", "dashboards", "prefect.yaml", "pyproject.toml"} <= set(sent)
