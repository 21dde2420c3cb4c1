//! What a robots.txt means: the examples of RFC 9309, and the questions that Google's published tests of its own parser
//! ask, each in a file of our own. Where that parser goes beyond the RFC, it decides.

use fetchd::item::ErrorKind;
use fetchd::schedule::{Core, RobotsConfig, RobotsPolicy, Settings};

use crate::items::{get, ms, robots};

/// Whether a crawler of this name may fetch a path of a site with this file.
fn allows(file: &str, agent: &str, path: &str) -> bool {
    let policy = RobotsPolicy { agent: agent.to_owned(), max_crawl_delay: ms(0), cache: 1 << 20 };
    let mut core = Core::new(Settings { robots: Some(policy), ..Settings::default() });
    core.push(get(0, &format!("http://site.test{path}")), ms(0));
    let errand = core.take(ms(0)).expect("the file is fetched first");
    core.complete(errand, robots(file), ms(1), ms(1));
    match core.take_settled() {
        Some(done) => {
            assert_eq!(done.record.kind(), Some(ErrorKind::RobotsDenied));
            false
        }
        None => core.take(ms(1)).is_some(),
    }
}

/// Asks a file about paths, for `fetchd`.
#[track_caller]
fn assert_rules(file: &str, allowed: &[&str], denied: &[&str]) {
    assert_rules_for("fetchd", file, allowed, denied);
}

#[track_caller]
fn assert_rules_for(agent: &str, file: &str, allowed: &[&str], denied: &[&str]) {
    for path in allowed {
        assert!(allows(file, agent, path), "{agent} may fetch {path} by\n{file}");
    }
    for path in denied {
        assert!(!allows(file, agent, path), "{agent} may not fetch {path} by\n{file}");
    }
}

/// RFC 9309, section 5.1.
#[test]
fn the_simple_example_of_the_rfc() {
    let file = "User-Agent: *\nDisallow: *.gif$\nDisallow: /example/\nAllow: /publications/\n\n\
                User-Agent: foobot\nDisallow:/\nAllow:/example/page.html\nAllow:/example/allowed.gif\n\n\
                User-Agent: barbot\nUser-Agent: bazbot\nDisallow: /example/page.html\n\n\
                User-Agent: quxbot\n";
    assert_rules_for("foobot", file, &["/example/page.html", "/example/allowed.gif"], &["/", "/publications/"]);
    for agent in ["barbot", "bazbot"] {
        assert_rules_for(agent, file, &["/", "/example/", "/a.gif"], &["/example/page.html"]);
    }
    assert_rules_for("quxbot", file, &["/", "/example/page.html", "/a.gif"], &[]);
    assert_rules_for("otherbot", file, &["/", "/publications/1", "/a.gif?q"], &["/a.gif", "/example/", "/example/x"]);
}

/// RFC 9309, section 5.2.
#[test]
fn the_longest_match_decides() {
    let file = "User-Agent: foobot\nAllow: /example/page/\nDisallow: /example/page/disallowed.gif\n";
    assert_rules_for("foobot", file, &["/example/page/", "/example/page/1"], &["/example/page/disallowed.gif"]);
    let file = "user-agent: *\ndisallow: /x/page.html\nallow: /x/\n";
    assert_rules(file, &["/x/", "/x/page"], &["/x/page.html"]);
    let file = "user-agent: *\nallow: /p\ndisallow: /\n";
    assert_rules(file, &["/page", "/p"], &["/", "/q"]);
    let file = "user-agent: *\ndisallow: /page\nallow: /*.html\n";
    assert_rules(file, &["/page.html"], &["/page"]);
}

/// Section 2.2.2: of an allow and a disallow of the same length the allow counts.
#[test]
fn of_equally_long_matches_the_allow_counts() {
    assert_rules("user-agent: *\ndisallow: /x\nallow: /x\n", &["/x", "/x/y"], &[]);
    assert_rules("user-agent: *\nallow: /x\ndisallow: /x\n", &["/x"], &[]);
}

#[test]
fn nothing_said_is_everything_allowed() {
    for file in
        ["", "\n\n", "# nothing\n", "user-agent: *\n", "user-agent: *\ndisallow:\n", "User-agent: other\nDisallow: /\n"]
    {
        assert_rules(file, &["/", "/x?y=z"], &[]);
    }
}

#[test]
fn names_of_crawlers_and_keys_are_compared_without_case_and_paths_with_it() {
    let file = "USER-AGENT: FetchD\nDISALLOW: /Private\nAlLoW: /Private/open\n";
    assert_rules(file, &["/private", "/Private/open"], &["/Private", "/Private/x"]);
}

/// Section 2.2.1: the name is a token of letters, `-` and `_`, and is compared as a whole.
#[test]
fn the_group_of_ones_own_name_beats_the_one_for_all_wherever_it_stands() {
    let all = "user-agent: *\ndisallow: /\n";
    let own = "user-agent: fetchd\nallow: /\ndisallow: /own\n";
    for file in [format!("{all}\n{own}"), format!("{own}\n{all}")] {
        assert_rules(&file, &["/", "/x"], &["/own"]);
        assert_rules_for("fetch", &file, &[], &["/", "/own"]);
        assert_rules_for("fetchd-images", &file, &[], &["/"]);
    }
}

#[test]
fn groups_of_the_same_name_are_one() {
    let file = "user-agent: fetchd\ndisallow: /a\n\nuser-agent: x\ndisallow: /\n\nuser-agent: fetchd\ndisallow: /b\n";
    assert_rules(file, &["/c"], &["/a", "/b"]);
}

#[test]
fn a_group_may_have_several_names_and_blank_lines_and_comments_in_between() {
    let file = "user-agent: a # one\n\n# and\nuser-agent: fetchd\n\ndisallow: /x # not this\n\n  disallow : /y\n";
    assert_rules(file, &["/", "/z"], &["/x", "/y"]);
}

/// Section 2.2.4: other records do not end a group's list of names.
#[test]
fn other_records_do_not_part_a_group() {
    let file =
        "user-agent: fetchd\nsitemap: https://site.test/map\nuser-agent: b\ndisallow: /x\nfoo: bar\ndisallow: /y\n";
    assert_rules(file, &["/"], &["/x", "/y"]);
}

#[test]
fn rules_before_any_name_are_for_nobody() {
    assert_rules("disallow: /\nuser-agent: *\ndisallow: /x\n", &["/"], &["/x"]);
}

#[test]
fn stars_and_the_dollar_sign_are_special() {
    let file = "user-agent: *\ndisallow: /foo/bar/*/qux\nallow: /foo/bar/\n";
    assert_rules(file, &["/foo/bar/qux", "/foo/bar/"], &["/foo/bar/quux/qux", "/foo/bar//qux?x"]);
    let file = "user-agent: *\ndisallow: /page$\n";
    assert_rules(file, &["/page/", "/page?", "/pages"], &["/page"]);
    let file = "user-agent: *\ndisallow: /a$b\n";
    assert_rules(file, &["/a", "/ab"], &["/a$b"]);
    let file = "user-agent: *\ndisallow: *\n";
    assert_rules(file, &[], &["/", "/x"]);
    let many_stars = format!("user-agent: *\ndisallow: /{}x\n", "a*".repeat(500));
    assert_rules(&many_stars, &["/b", &format!("/{}", "a".repeat(2000))], &[&format!("/{}x", "a".repeat(2000))]);
}

/// Section 2.2.2: octets are compared in their percent-encoded form, and unreserved characters without it.
#[test]
fn it_does_not_matter_how_a_path_is_encoded() {
    for pattern in ["/foo/bar/ツ", "/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84"] {
        let file = format!("user-agent: *\ndisallow: {pattern}\n");
        assert_rules(&file, &["/foo/bar/"], &["/foo/bar/ツ", "/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84"]);
    }
    assert_rules("user-agent: *\ndisallow: /foo/bar/baz\n", &[], &["/foo/bar/%62%61%7A", "/foo/bar/baz"]);
    assert_rules("user-agent: *\ndisallow: /a%2fb\n", &["/a/b"], &["/a%2Fb", "/a%2fb"]);
    assert_rules("user-agent: *\ndisallow: /x?q=http://foo\n", &["/x", "/x?q="], &["/x?q=http://foo"]);
}

#[test]
fn lines_end_in_any_way_and_a_byte_order_mark_is_no_part_of_the_first() {
    for end in ["\n", "\r\n", "\r"] {
        let file = ["\u{feff}user-agent: *", "disallow: /x", "", "allow: /x/y", ""].join(end);
        assert_rules(&file, &["/x/y", "/"], &["/x", "/x/z"]);
    }
    assert_rules("user-agent: *\ndisallow: /x", &["/"], &["/x"]);
}

/// The RFC leaves it to crawlers what they make of a slip of the pen (section 2.2); as in Google's parser, it counts as
/// what its author meant.
#[test]
fn a_missing_colon_or_letter_does_not_undo_a_rule_and_what_is_no_rule_means_nothing() {
    let file = "user agent: *\ndisallow /a\ndisalow: /b\n<html>\n\0\n: /c\nnot-disallow: /d\ndisallow: /e\n";
    assert_rules(file, &["/c", "/d"], &["/a", "/b", "/e"]);
}

/// Google's parser lets `allow: /x/index.html` speak for `/x/`, too; the RFC does not.
#[test]
fn an_index_page_that_is_allowed_speaks_for_its_directory() {
    let file = "user-agent: *\nallow: /x/index.html\ndisallow: /\n";
    assert_rules(file, &["/x/index.html", "/x/"], &["/x/index.htm", "/x", "/x/y"]);
    assert_rules("user-agent: *\ndisallow: /x/index.html\n", &["/x/"], &["/x/index.html"]);
}

#[test]
fn the_file_itself_may_always_be_fetched() {
    assert_rules("user-agent: *\ndisallow: /\n", &["/robots.txt"], &["/robots.txt2", "/x/robots.txt"]);
}

/// Section 2.5: at least 500 KiB are read; what comes later may count for nothing.
#[test]
fn rules_count_within_the_first_500_kib() {
    let filler = "# a line of forty bytes, and its line end\n".repeat(10_000);
    let file = format!("user-agent: *\ndisallow: /a\n{filler}disallow: /b\n");
    assert!((400 << 10..500 << 10).contains(&file.len()), "{}", file.len());
    assert_rules(&file, &["/"], &["/a", "/b"]);
    assert_rules(&format!("user-agent: *\ndisallow: /a\n{filler}{filler}disallow: /c\n"), &["/c"], &["/a"]);
}

/// Section 2.2.1: the name ends at the first character that is no letter, `-` or `_`, also the crawler's own.
#[test]
fn a_name_ends_where_its_token_does() {
    for name in [
        "archivebot",
        "archivebot/2.0",
        "ArchiveBot extra words",
        "archivebot*",
        "archivebot2",
        "archivebot, otherbot",
        "archivebot (+https://bot.test)",
        "archivebot\u{a0}1",
    ] {
        let file = format!("User-agent: {name}\nDisallow: /x\n\nUser-agent: *\nDisallow: /y\n");
        assert_rules_for("archivebot", &file, &["/y"], &["/x"]);
    }
    for name in ["archivebot-images", "archivebot_2", "my archivebot", "*archivebot", "/archivebot", "archive"] {
        let file = format!("User-agent: {name}\nDisallow: /x\n\nUser-agent: *\nDisallow: /y\n");
        assert_rules_for("archivebot", &file, &["/x"], &["/y"]);
    }
    let agents =
        [("archivebot/2.0", "archivebot"), ("Arch-bot_x 1", "Arch-bot_x"), ("bot2", "bot"), ("2bot", ""), ("", "")];
    for (user_agent, token) in agents {
        let policy = RobotsConfig { enabled: true, ..RobotsConfig::default() }.policy(user_agent);
        assert_eq!(policy.map(|policy| policy.agent), Some(token.to_owned()));
    }
    assert_rules_for("", "User-agent: 2bot\nDisallow: /\n", &["/"], &[]);
}

#[test]
fn a_star_with_words_is_everybody_and_one_with_letters_is_nobody() {
    for name in ["*", "* all bots", "*\tall", "*\u{b}all", "*   # comment"] {
        assert_rules(&format!("User-agent: {name}\nDisallow: /x\n"), &["/y"], &["/x"]);
    }
    for name in ["*bot", "**", "*/1.0"] {
        assert_rules(&format!("User-agent: {name}\nDisallow: /x\n"), &["/x"], &[]);
    }
}

#[test]
fn a_pattern_that_begins_with_neither_a_slash_nor_a_star_matches_nothing() {
    for pattern in ["fold", "$", "?q", "http://site.test/fold", "\"/fold\"", "%2Ffold", ".", "fold/*"] {
        assert_rules(&format!("User-agent: *\nDisallow: {pattern}\n"), &["/", "/fold", "/fold/x", "/?q"], &[]);
    }
    assert_rules("User-agent: *\nDisallow: *fold\n", &["/"], &["/fold", "/x/fold", "/?fold"]);
    // It is a rule all the same, and ends the list of names.
    assert_rules("User-agent: other\nDisallow: fold\nUser-agent: fetchd\nDisallow: /x\n", &["/fold"], &["/x"]);
}

#[test]
fn keys_are_known_by_their_begin_and_by_what_is_often_meant() {
    for key in ["disallow", "Dissallow", "dissalow", "disalow", "diasllow", "disallaw", "disallowed", "DISALLOW "] {
        assert_rules(&format!("User-agent: *\n{key}: /x\n"), &["/y"], &["/x"]);
    }
    for key in ["user-agent", "useragent", "User Agent", "user-agents", "USER-AGENT\t"] {
        assert_rules(&format!("{key}: *\nDisallow: /x\n"), &["/y"], &["/x"]);
    }
    for key in ["dis-allow", "disllow", "no-disallow", "user_agent", "agent", "\u{feff}disallow", ""] {
        assert_rules(&format!("User-agent: *\n{key}: /x\n"), &["/x"], &[]);
    }
    assert_rules("User-agent: *\nAlow: /x/y\nAllowed: /x/z\nDisallow: /x\n", &["/x/z"], &["/x", "/x/y"]);
}

/// A colon may be missing where there are just two words.
#[test]
fn a_line_without_a_colon_is_a_rule_if_it_has_two_words() {
    assert_rules("user-agent *\ndisallow /x\ndisallow\t \t/y\n", &["/z"], &["/x", "/y"]);
    assert_rules("user-agent *\ndisallow /x /y\ndisallow\ndisallow/z\n", &["/x", "/y", "/z"], &[]);
    assert_rules("user-agent: *\ndisallow /x: y\ndisallow: /a:b\n", &["/x"], &["/a:b"]);
}

#[test]
fn of_a_line_only_the_begin_counts_and_nothing_after_a_nul_or_a_hash() {
    let longest = 2083 * 8 - 1 - "disallow: ".len();
    let path = format!("/{}", "a".repeat(longest - 1));
    assert_rules(&format!("user-agent: *\ndisallow: {path}/b\n"), &[&path[..longest - 1], "/b"], &[&path]);
    assert_rules("user-agent: *\ndisallow: /x\0y\ndisallow: /a#b\n", &["/y"], &["/x", "/xz", "/a", "/ab"]);
    assert_rules("user-agent: *\ndisallow: /a%23b\n", &["/a"], &["/a%23b"]);
}

#[test]
fn a_file_may_end_anywhere_and_its_lines_in_any_way() {
    let file = "\u{feff}user-agent: *\r\n\r\n\rdisallow: /x\r\rdisallow:/y";
    assert_rules(file, &["/"], &["/x", "/y"]);
    for (end, _) in file.char_indices() {
        allows(&file[..end], "fetchd", "/");
    }
}

/// Google's parser escapes patterns and nothing else; the RFC has unreserved characters compared as they are. A server takes
/// both forms for the same, so a rule that forbids holds for both, and one that allows for what it says.
#[test]
fn an_escape_without_need_gets_round_no_rule() {
    assert_rules("user-agent: *\ndisallow: /foo\n", &["/"], &["/foo", "/f%6fo", "/%66%6F%6f?x", "/fo%6F/y"]);
    let file = "user-agent: *\nallow: /foo/bar/%62%61%7A\ndisallow: /\n";
    assert_rules(file, &["/foo/bar/%62%61%7A", "/foo/bar/%62%61%7a"], &["/foo/bar/baz"]);
    assert_rules("user-agent: *\ndisallow: /a%2Fb%2fc\n", &["/a/b/c", "/a%252Fb%2fc"], &["/a%2fb%2Fc/d"]);
    assert_rules("user-agent: *\ndisallow: /%\ndisallow: /%4\ndisallow: /%zz\n", &["/4"], &["/%", "/%41", "/%zz"]);
}

#[test]
fn rules_under_ones_own_name_and_under_the_star_at_once_are_ones_own() {
    let file = "user-agent: *\nuser-agent: fetchd\ndisallow: /both\n\nuser-agent: *\ndisallow: /all\n";
    assert_rules(file, &["/all"], &["/both"]);
    // To everybody else they are rules for all.
    assert_rules_for("other", file, &[], &["/all", "/both"]);
    assert_rules("user-agent: fetchd\n\nuser-agent: *\ndisallow: /\n", &[], &["/"]);
    assert_rules("user-agent: fetchd\ndisallow:\nuser-agent: *\ndisallow: /\n", &["/"], &[]);
    assert_rules("user-agent: fetchd\nuser-agent: other\n", &["/"], &[]);
}
