"""`mase doctor` against a Prefect server that runs."""

import pytest

from flows.prefect_check import answered


@pytest.mark.slow
def test_a_server_that_answers_is_ok_and_another_address_is_not(prefect_server: None) -> None:
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    assert url is not None
    check = answered(url)
    assert check.status == "ok" and "version" in check.found
    other = answered(url.removesuffix("/api") + "/elsewhere")
    assert other.status == "problem" and other.remedy
