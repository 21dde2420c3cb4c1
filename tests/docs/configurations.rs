//! Every configuration that a page shows is valid.

use std::fs;
use std::process::Command;

use crate::internet::place;
use crate::page::pages;

/// Files and variables that the configurations of pages name.
const FILES: [(&str, &str); 3] =
    [("urls.txt", ""), ("token", "secret"), ("hook-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")];

#[test]
fn each_configuration_of_a_page_is_valid() {
    let mut checked = 0;
    for page in pages() {
        for block in page.blocks.iter().filter(|block| block.language == "toml") {
            let place = place(&FILES);
            let file = place.path().join("shown.toml");
            fs::write(&file, &block.text).unwrap();
            let mut command = Command::new(env!("CARGO_BIN_EXE_fetchd"));
            command.args(["check", "-c"]).arg(file).current_dir(place.path()).env("API_TOKEN", "secret");
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{}:{}: {said}", page.path, block.line);
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
}
