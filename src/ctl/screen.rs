//! Fits a text into the terminal: the rest is cut off, so that the first lines never scroll away.

use std::io;

/// The size of a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Screen {
    pub columns: usize,
    pub rows: usize,
}

impl Screen {
    /// The current size of the terminal at standard output.
    pub fn of_stdout() -> Self {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok();
        let (columns, rows) = size.map_or((0, 0), |size| (size.ws_col.into(), size.ws_row.into()));
        // Some terminals report 0.
        Self { columns: if columns == 0 { 80 } else { columns }, rows: if rows == 0 { 24 } else { rows } }
    }

    /// Fits the text: lines before the first empty one are sentences and are wrapped; all others are clipped.
    pub fn fit(self, text: &str) -> String {
        let mut lines = text.trim_end().lines();
        let sentences = lines.by_ref().take_while(|line| !line.is_empty()).flat_map(|line| self.wrapped(line));
        let mut fitted: Vec<String> = sentences.collect();
        let rest = lines.map(|line| self.clipped(line));
        fitted.extend(std::iter::once(String::new()).chain(rest));
        // The last row stays empty, because a line end in it would scroll.
        fitted.truncate(self.rows.saturating_sub(1).max(1));
        fitted.join("\n") + "\n"
    }

    fn wrapped(self, line: &str) -> Vec<String> {
        let mut wrapped: Vec<String> = Vec::new();
        for word in line.split(' ') {
            match wrapped.last_mut() {
                Some(last) if last.chars().count() + 1 + word.chars().count() <= self.columns => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => wrapped.push(self.clipped(word)),
            }
        }
        wrapped
    }

    fn clipped(self, line: &str) -> String {
        if line.chars().count() <= self.columns {
            return line.to_owned();
        }
        let mut clipped: String = line.chars().take(self.columns.saturating_sub(1)).collect();
        clipped.push('…');
        clipped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sentences_are_wrapped_and_other_lines_are_clipped() {
        let screen = Screen { columns: 12, rows: 6 };
        let text = "It is a long sentence.\nShort.\n\nready  yes, it is\nlines  1\nmore\nand more\n";
        assert_eq!(screen.fit(text), "It is a long\nsentence.\nShort.\n\nready  yes,…\n");
    }

    proptest! {
        #[test]
        fn nothing_is_larger_than_the_screen_and_the_first_word_is_there(
            text in "[a-z]{1,9}( [a-z]{1,30}){0,40}(\n[a-z ]{0,60}){0,40}", columns in 10usize..200, rows in 2usize..60,
        ) {
            let fitted = Screen { columns, rows }.fit(&text);
            prop_assert!(fitted.lines().count() < rows, "{}", fitted);
            prop_assert!(fitted.lines().all(|line| line.chars().count() <= columns), "{}", fitted);
            prop_assert!(fitted.starts_with(text.split([' ', '\n']).next().unwrap_or_default()), "{}", fitted);
        }
    }
}
