"""suite.support: what is typed, what is told, and which folder new files go into."""

import pytest

from leakage.command_line import OneLineParser, finite_number, positive_number, run
from suite.support.command_line import BadInput, LongMessage, even_number, seed_number, whole_number
from suite.support.output import writable_folder


@pytest.mark.parametrize(
    ("type_of", "text", "number"),
    [
        (whole_number, "1", 1),
        (even_number, "2", 2),
        (even_number, "24", 24),
        (seed_number, "0", 0),
        *[(whole_number, text, None) for text in ("0", "-1", "1.0", "two", "", "²")],
        *[(even_number, text, None) for text in ("0", "1", "3", "-2", "2.0", "two", "")],
        *[(seed_number, text, None) for text in ("-1", "1.0", "٣")],
    ],
)
def test_numbers_are_taken_or_refused_in_one_line(type_of, text, number, capsys):
    parser = OneLineParser(prog="script.py")
    parser.add_argument("--option", type=type_of)
    if number is not None:
        assert parser.parse_args(["--option", text]).option == number
        return
    with pytest.raises(SystemExit) as ended:
        parser.parse_args([f"--option={text}"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith(f"script.py: argument --option: {text!r} is not a")
    assert error.count("\n") == 1


@pytest.mark.parametrize("type_of", [whole_number, even_number, seed_number, finite_number, positive_number])
@pytest.mark.parametrize("text", ["8" * 5000, "x" * 5000])
def test_what_is_thousands_of_letters_long_is_told_in_short(type_of, text, capsys):
    """Python reads no whole number of more than 4,300 digits, and argparse then told all of them."""
    parser = OneLineParser(prog="script.py")
    parser.add_argument("--option", type=type_of)
    with pytest.raises(SystemExit):
        parser.parse_args([f"--option={text}"])
    error = capsys.readouterr().err
    assert "number" in error
    assert type_of.__name__ not in error
    assert len(error) < 150


@pytest.mark.parametrize(
    ("problem", "line"), [(BadInput("a\nb  c"), "a b c"), (LongMessage("a:\n  - b"), "a:\n  - b")]
)
def test_bad_input_is_one_line_but_for_a_list(problem, line, capsys):
    def study():
        raise problem

    with pytest.raises(SystemExit) as ended:
        run("script.py", study)
    assert ended.value.code == 2
    assert capsys.readouterr() == ("", f"script.py: {line}\n")


def test_new_files_go_into_the_first_folder_that_can_be_written(tmp_path):
    """Below a file there can be no folder."""
    (tmp_path / "file").write_text("in the way")
    never, folder, other = tmp_path / "file" / "below", tmp_path / "folder" / "in it", tmp_path / "other"
    assert writable_folder([never, folder, other]) == folder
    assert folder.is_dir()
    assert not other.exists()
    with pytest.raises(BadInput, match=r"file/below: .*; take another"):
        writable_folder([never, tmp_path / "file"], "take another")


def test_a_folder_without_a_name_is_not_the_one_the_program_was_started_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match="the folder to write into has an empty name; name another"):
        writable_folder([""], "name another")
    assert list(tmp_path.iterdir()) == []
