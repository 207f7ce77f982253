"""The names of the contract, letter by letter: saved dashboards and reports rely on them."""

from mase.modalities import MODALITIES
from mase.tracking import names


def test_names_are_those_of_the_contract() -> None:
    assert [names.weight(m) for m in MODALITIES] == [
        "em/weight/text",
        "em/weight/image",
        "em/weight/audio",
        "em/weight/video",
    ]
    assert names.information("audio") == "em/information/audio"
    assert names.information_se("audio") == "em/information_se/audio"
    assert names.diagnostic("collapsed") == "em/diagnostic/collapsed"
    assert (names.OBJECTIVE, names.DELTA) == ("em/objective", "em/delta")
    assert names.loss("contrastive") == "train/loss/contrastive"
    assert names.gradient_norm("backbone") == "train/grad_norm/backbone"
    assert names.evaluation("sst2", "accuracy") == "eval/sst2/accuracy"
    costs = (names.SECONDS, names.EXAMPLES_PER_SECOND, names.PEAK_BYTES)
    assert costs == ("cost/seconds", "cost/examples_per_second", "cost/peak_bytes")
