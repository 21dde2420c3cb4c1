//! Every link within the repository leads to a file that is there, and to a heading that it has.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::page::{page, pages, repository};

/// Where the links of a page lead, those to other places left out.
fn links(text: &str) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets.filter(|target| !target.contains("://")).map(str::to_owned).collect()
}

/// The anchor of a heading: lower case, words joined by hyphens, all other characters dropped.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    kept.replace(' ', "-")
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    headings.map(anchor).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut all = pages();
    all.extend(["ARCHITECTURE.md", "CONTRIBUTING.md", "benches/README.md"].map(page));
    for from in &all {
        for link in links(&from.text) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let dir = Path::new(&from.path).parent().unwrap();
            let target = repository(if file.is_empty() { Path::new(&from.path).to_owned() } else { dir.join(file) });
            assert!(target.exists(), "{} leads to {link}, where nothing is", from.path);
            let leads_on = heading.is_empty() || anchors(&fs::read_to_string(&target).unwrap()).contains(heading);
            assert!(leads_on, "{} leads to {link}, and there is no such heading", from.path);
        }
    }
}

#[test]
fn a_list_of_contents_has_every_section() {
    for path in ["docs/faults.md", "docs/recipes.md"] {
        let text = page(path).text;
        let sections: BTreeSet<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
        let own = links(&text).into_iter().filter_map(|link| link.strip_prefix('#').map(str::to_owned));
        let contents: BTreeSet<_> = own.collect();
        assert_eq!(contents, sections, "{path}");
    }
}

#[test]
fn every_page_is_in_the_readme() {
    let readme = page("README.md").text;
    for page in pages().iter().filter(|page| page.path != "README.md") {
        assert!(readme.contains(&format!("]({})", page.path)), "{} is not in README.md", page.path);
    }
}

#[test]
fn the_readme_is_for_five_minutes() {
    assert!(page("README.md").text.lines().count() <= 150);
}

#[test]
fn headings_have_their_anchors() {
    assert_eq!(anchor("A server says, \"wait\": 429 and `x_y`"), "a-server-says-wait-429-and-x_y");
}
