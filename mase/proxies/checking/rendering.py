"""A check's report as lines of text."""

from mase.proxies.checking.metrics import RANKS
from mase.proxies.checking.report import TowerReport


def render(report: TowerReport) -> str:
    """Return the report for a terminal."""
    lines = [f"{report.tower}: {report.modality}, width {report.width}, digest {report.digest}"]
    for corpus, rows in report.retrieval.items():
        lines.append(f"\nCaption to caption, {corpus}, {report.candidates[corpus]} held out, %")
        lines.append(" " * 20 + "".join(f"{f'R@{k}':>8}" for k in RANKS) + "   sd of R@1")
        for name, found in rows.items():
            values = "".join(f"{100 * found.recall[k]:8.1f}" for k in RANKS)
            lines.append(f"  {name:<18}{values}{100 * found.deviation:12.1f}")
    for title, check in report.names.items():
        count = next(iter(check.rows.values())).names
        lines.append(f"\nCLIP's own vectors, {count} {title}")
        lines.append(
            f"  {'':<18}{'cosine':>8}{'Spearman':>10}{'R@10 %':>8}   (cosine without the training mean)"
        )
        for name, row in check.rows.items():
            lines.append(f"  {name:<18}{row.cosine:8.3f}{row.spearman:10.3f}{100 * row.recall:8.1f}")
        lines.append(f"  constant vector: cosine {check.constant_cosine:.3f} with the mean, 0 without")
    if report.cut:
        lines.append("\nTexts cut at the context length, %")
        lines.append("  " + ", ".join(f"{corpus} {100 * share:.2f}" for corpus, share in report.cut.items()))
    lines.append("\nLinear CKA with other towers")
    lines.append("  " + ", ".join(f"{name} {value:.3f}" for name, value in report.cka.items()))
    lines.append("\nNearest probe words")
    lines += [f"  {word:<10} {', '.join(found)}" for word, found in report.neighbours.items()]
    return "\n".join(lines)
