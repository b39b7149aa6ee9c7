from entrypoints.tasks.gallery_page import Section, Show, gallery_page


def test_the_page_shows_films_links_files_and_escapes_names() -> None:
    shows = [
        Show("walk <fast>", ["actions/walk.mp4", "actions/walk.gif", "actions/walk.png"]),
        Show("pictures", ["a b.png", "table.csv"]),
    ]
    page = gallery_page("A & B", ["seed 0"], [Section("Actions", "text", shows), Section("Empty", "nothing", [])])
    assert page.startswith("<!doctype html>")
    assert "A &amp; B" in page
    assert "walk &lt;fast&gt;" in page
    assert '<video src="actions/walk.mp4"' in page
    assert '<img src="a%20b.png"' in page
    assert ">table.csv</a>" in page
    assert "Empty" not in page
