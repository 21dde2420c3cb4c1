//! Aligned text: tables with a heading, and lists of names with their values.

use super::text::safe;

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows under a heading, each column as wide as its widest cell, without trailing spaces.
pub(super) fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let heading = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(heading).chain(rows.iter().cloned()).collect();
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| safe(cell)).collect()).collect();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| columns_of(cell)).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(columns).zip(&widths).map(|((cell, (_, align)), width)| {
            let space = " ".repeat(width - columns_of(cell));
            if *align == Align::Right { format!("{space}{cell}") } else { format!("{cell}{space}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// One line for each name and its value; names without a value are left out.
pub(super) fn list(rows: &[(&str, Option<String>)]) -> String {
    let rows: Vec<_> = rows.iter().filter_map(|(name, value)| Some((name, value.as_ref()?))).collect();
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    rows.iter().map(|(name, value)| format!("{name:width$}  {}\n", safe(value))).collect()
}

fn columns_of(cell: &str) -> usize {
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            vec!["a.test".to_owned(), "5".to_owned(), "x".to_owned()],
            vec!["b".to_owned(), "1,000".to_owned(), String::new()],
        ];
        let text = table(&[("host", Align::Left), ("waiting", Align::Right), ("why", Align::Left)], &rows);
        assert_eq!(text, "host    waiting  why\na.test        5  x\nb         1,000\n");
        assert_eq!(
            list(&[("lines", Some("1\u{1b}".to_owned())), ("no", None), ("a", Some("b".to_owned()))]),
            "lines  1\\u{1b}\na      b\n"
        );
    }
}
