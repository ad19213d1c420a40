"""Tables of the documents that the scripts here generate."""

from pathlib import Path


def publish(script, table, document=None):
    """Prints `table`, or puts it where `document` says that `script` writes."""
    if document is None:
        print(table)
        return
    document = Path(document)
    begin, end = f"<!-- written by {script} -->", "<!-- end -->"
    before, found, rest = document.read_text().partition(begin)
    after = rest.partition(end)
    if not found or not after[1]:
        raise SystemExit(f"{document}: no '{begin}' with an '{end}' behind it")
    document.write_text(f"{before}{begin}\n{table}\n{end}{after[2]}")
