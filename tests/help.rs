//! What the program says about itself.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

use assert_cmd::Command;
use clap::{Arg, CommandFactory};
use fetchd::cli::Cli;

/// What `fetchd` with these arguments prints on a terminal of 80 columns.
fn said(args: &[&str]) -> String {
    let done = Command::cargo_bin("fetchd").unwrap().args(args).env("COLUMNS", "80").assert().code(0);
    String::from_utf8(done.get_output().stdout.clone()).unwrap()
}

/// What it says on stderr when it refuses these arguments.
fn refused(args: &[&str]) -> String {
    let done = Command::cargo_bin("fetchd").unwrap().args(args).assert().code(2);
    assert!(done.get_output().stdout.is_empty());
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}

/// The options of `run` and of `check`, those that clap adds left out.
fn options() -> Vec<Arg> {
    let command = Cli::command();
    let check = command.find_subcommand("check").unwrap();
    let all = command.get_arguments().chain(check.get_arguments());
    all.filter(|option| option.get_long().is_some_and(|long| !["help", "version"].contains(&long))).cloned().collect()
}

#[test]
fn the_short_help_reads_like_this() {
    insta::assert_snapshot!("short_help", said(&["-h"]));
}

#[test]
fn the_long_help_reads_like_this() {
    insta::assert_snapshot!("long_help", said(&["--help"]));
}

#[test]
fn the_help_of_check_reads_like_this() {
    insta::assert_snapshot!("check_help", said(&["check", "--help"]));
}

#[test]
fn no_line_of_the_help_is_wider_than_a_terminal() {
    for args in [&["-h"][..], &["--help"], &["run", "--help"], &["check", "--help"], &["completions", "--help"]] {
        let wide: Vec<_> = said(args).lines().filter(|line| line.chars().count() > 80).map(str::to_owned).collect();
        assert!(wide.is_empty(), "{wide:#?}");
    }
}

#[test]
fn each_option_says_its_default_and_shows_an_example() {
    let options = options();
    assert!(options.len() > 20, "{}", options.len());
    for option in options {
        let (short, long) = (option.get_help().unwrap().to_string(), option.get_long_help().unwrap().to_string());
        assert!(short.contains("[default: ") && !short.contains("Example"), "{short}");
        assert!(long.contains("[default: ") && long.contains("\nExample: "), "{long}");
    }
}

#[test]
fn each_example_of_an_option_is_accepted() {
    for option in options() {
        let long = option.get_long_help().unwrap().to_string();
        let example = long.split_once("\nExample: ").unwrap().1.to_owned();
        let words = example.split('\'').enumerate().flat_map(|(place, part)| match place % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
        let words = words.skip_while(|word| word == "fetchd");
        if let Err(error) = Cli::command().try_get_matches_from(["fetchd".to_owned()].into_iter().chain(words)) {
            panic!("{example}: {error}");
        }
    }
}

#[test]
fn run_is_the_default_and_its_help_is_the_same() {
    let options = |text: String| text.split_once("Input and output:").map(|(_, options)| options.to_owned()).unwrap();
    let (plain, run) = (options(said(&["--help"])), options(said(&["run", "--help"])));
    let shared = |text: &str| text.split("\nExamples:").next().unwrap_or_default().trim_end().to_owned();
    assert_eq!(shared(&plain), shared(&run));
}

#[test]
fn the_help_shows_the_options_of_run_and_the_commands() {
    let help = said(&["--help"]);
    for word in ["run ", "check ", "demo ", "completions ", "man ", "--input", "--host-rate", "--progress"] {
        assert!(help.contains(word), "{word}");
    }
}

#[test]
fn the_manual_page_and_the_completions_name_every_option() {
    let texts = [&["man"][..], &["completions", "bash"], &["completions", "zsh"], &["completions", "fish"]];
    for args in texts {
        let text = said(args).replace('\\', "");
        for option in options() {
            let long = option.get_long().unwrap();
            let named = text.contains(&format!("--{long}")) || text.contains(&format!("-l {long} "));
            assert!(named, "{args:?} lacks --{long}");
        }
    }
}

#[test]
fn a_url_or_a_file_without_its_option_is_told_the_right_command() {
    assert!(refused(&["urls.txt"]).contains("write: fetchd -i urls.txt"));
    assert!(refused(&["https://example.com/"]).contains("echo 'https://example.com/' | fetchd"));
    assert!(refused(&["chekc"]).contains("did you mean `check`?"));
    assert!(refused(&["journal", "status"]).contains("write: fetchd state"));
}

#[test]
fn a_key_as_a_flag_is_told_how_to_set_it_where_that_works() {
    for command in [&[][..], &["run"], &["check"]] {
        let said = refused(&[command, &["--backoff", "1s"]].concat());
        assert!(said.contains("write: --set retry.backoff=VALUE") && !said.contains("'-- "), "{said}");
    }
    for command in [&["results"][..], &["state", "status"], &["ctl", "status"], &["demo"]] {
        let said = refused(&[command, &["--backoff", "1s"]].concat());
        assert!(said.contains("--backoff") && !said.contains("--set") && !said.contains("'-- "), "{said}");
    }
}

#[test]
fn a_wrong_value_is_told_how_to_write_it() {
    assert!(refused(&["--timeout", "5"]).contains("`30s`"));
    assert!(refused(&["--host-rate", "5"]).contains("`5/s`"));
    assert!(refused(&["--max-body", "x"]).contains("`16MiB`"));
    assert!(refused(&["--allow", "x"]).contains("`127.0.0.0/8`"));
    assert!(refused(&["--body", "x"]).contains("base64"));
    let header = refused(&["-H", "s3cret"]);
    assert!(header.contains("-H 'accept: application/json'") && !header.contains("s3cret"), "{header}");
}
