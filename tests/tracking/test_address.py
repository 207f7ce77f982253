"""Addresses: no credential is shown or kept, and one store is one store however it is spelled."""

import os
from pathlib import Path

import pytest

from mase.errors import TrackingError
from mase.tracking.address import cleaned, identity, sqlite_file, tracking_uri, without_credentials

SECRET = "s3cr:t/@?#p w"  # whatever a password may hold
ADDRESSES = [
    ("postgresql://mase:{}@db:5432/mlflow", "postgresql://db:5432/mlflow"),
    ("postgresql+psycopg://:{}@db/mlflow", "postgresql+psycopg://db/mlflow"),
    ("https://admin:{}@mlflow.example:5000/sub", "https://mlflow.example:5000/sub"),
]
PARAMETERS = [
    ("postgresql:///mlflow?password={}", "postgresql:///mlflow"),
    ("postgresql:///mlflow?host=/tmp&user=me&password={}", "postgresql:///mlflow?host=/tmp"),
    ("postgresql://db/x?PASSWD={}&sslmode=require", "postgresql://db/x?sslmode=require"),
    ("postgresql://db:5432/x?user=me@site&password={}", "postgresql://db:5432/x"),
    ("http://mlflow:5000/?access_token={}&api_key={}", "http://mlflow:5000/"),
]


@pytest.mark.parametrize(("uri", "shown"), ADDRESSES)
def test_a_password_before_the_host_is_left_out(uri: str, shown: str) -> None:
    assert without_credentials(uri.format(SECRET)) == shown
    assert without_credentials(uri.format("simple")) == shown
    assert without_credentials(shown) == shown


@pytest.mark.parametrize(("uri", "shown"), PARAMETERS)
def test_a_password_among_the_parameters_is_left_out(uri: str, shown: str) -> None:
    assert without_credentials(uri.format(*["s3cr:t/@?#p w"] * 2)) == shown
    assert without_credentials(shown) == shown


@pytest.mark.parametrize(
    "uri", ["sqlite:////home/me@work/a:b@c.db", "http://localhost:5000", "https://host/path"]
)
def test_an_address_without_credentials_stays_as_it_is(uri: str) -> None:
    assert without_credentials(uri) == uri


def test_a_message_keeps_everything_but_the_credentials() -> None:
    said = "API request to http://me:s3cret@mlflow:5000/api failed; see 'postgresql://me:s3cret@db/x': gone"
    assert cleaned(said) == "API request to http://mlflow:5000/api failed; see 'postgresql://db/x': gone"


def test_spellings_of_one_store_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    spellings = [
        f"sqlite:///{tmp_path}/folder/m.db", "sqlite:///folder/m.db", "sqlite:///./folder/../folder/m.db",
        "sqlite:///link/m.db", "sqlite+pysqlite:///folder/m.db", "sqlite:///folder/m.db?timeout=5",
    ]  # fmt: skip
    assert {identity(uri) for uri in spellings} == {f"sqlite:///{os.path.realpath(tmp_path)}/folder/m.db"}
    assert len({identity(uri) for uri in ("http://h:80/", "http://H", "http://me:pw@h:80")}) == 1
    servers = ["postgresql://db/m", "postgresql+psycopg://me:pw@DB:5432/m/", "postgresql://db/m?password=pw"]
    assert {identity(uri) for uri in servers} == {"postgresql://db/m"}


def test_different_stores_stay_apart() -> None:
    uris = [
        "postgresql://db/m", "postgresql://db/n", "postgresql://db:5433/m", "postgresql://other/m", "http://db/m",
        "postgresql:///m?host=/a", "postgresql:///m?host=/b", "sqlite:///a.db", "sqlite:///b.db",
    ]  # fmt: skip
    assert len({identity(uri) for uri in uris}) == len(uris)


def test_a_file_of_sqlite_is_found_whatever_the_driver() -> None:
    assert sqlite_file("sqlite+pysqlite:////a/b.db?mode=ro") == Path("/a/b.db")
    assert sqlite_file("postgresql:///a") is None


def test_an_address_that_is_none_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASE_TRACKING_URI", "mase:s3cret@db/mlflow")
    with pytest.raises(TrackingError, match="has no scheme") as caught:
        tracking_uri()
    assert "s3cret" not in str(caught.value)
