//! Tables for people.

use std::fmt::Write;

use crate::results::Results;
use crate::row::{Figures, Head, VERIFIED};

/// Three digits, more where there are more before the point.
pub fn digits(value: f64) -> String {
    match value {
        v if v >= 1000.0 => {
            let text = format!("{v:.0}");
            let (thousands, rest) = text.split_at(text.len() - 3);
            format!("{thousands},{rest}")
        }
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn figure(it: &Figures) -> String {
    let [median, least, most] = [it.median, it.least, it.most].map(digits);
    match least == most {
        true => median,
        false => format!("{median} ({least} to {most})"),
    }
}

/// What the others did, and what part of it we did.
fn others(all: &[Figures]) -> Vec<String> {
    let each = all.iter().skip(1).map(|it| match it.median.is_finite() {
        true => format!("{} {}: x {:.2}", it.name, figure(it), it.ratio),
        false => format!("{}: {}", it.name, it.note),
    });
    each.collect()
}

/// `met`, or what part of the bar was reached.
fn verdict(head: &Head, all: &[Figures]) -> String {
    match head.hardest(all) {
        None => String::new(),
        Some(beyond) if beyond >= 1.0 => "**met**".into(),
        Some(beyond) => format!("{beyond:.2} of it"),
    }
}

/// One row in one line.
pub fn line(head: &Head, all: &[Figures]) -> String {
    let ours = all.first().map(figure).unwrap_or_default();
    let others = others(all).join("; ");
    let verdict = verdict(head, all);
    format!("{:<11} {ours} {}; {others}; {verdict}", head.id, head.unit)
}

/// The rows as a Markdown table.
pub fn table(heads: &[Head], results: &Results) -> String {
    let mut text = String::from(
        "| row | work | unit | netstrata | the others, and what part of each we reach | contents | bar | |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    for head in heads {
        let Some(all) = results.row(head.id) else {
            continue;
        };
        let better = if head.more { "more" } else { "less" };
        let ours = all.first().map(figure).unwrap_or_default();
        let verified = all.first().is_some_and(|it| it.note == VERIFIED);
        let _ = writeln!(
            text,
            "| {} | {} | {}, {better} is better | {ours} | {} | {} | {} | {} |",
            head.id,
            head.what,
            head.unit,
            others(all).join("; "),
            if verified { VERIFIED } else { "" },
            head.asked(),
            verdict(head, all),
        );
    }
    text
}

/// `text` with what stands between two marks replaced.
pub fn splice(text: &str, name: &str, new: &str) -> Option<String> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&open)?;
    let (_, after) = rest.split_once(&close)?;
    Some(format!("{before}{open}{new}{close}{after}"))
}

#[cfg(test)]
#[test]
fn replaces_between_marks() {
    let text = "a\n<!-- t -->\nold\n<!-- /t -->\nb";
    let new = "a\n<!-- t -->\nnew\n<!-- /t -->\nb";
    assert_eq!(splice(text, "t", "new\n").as_deref(), Some(new));
    assert_eq!(splice(text, "u", "new\n"), None);
    assert_eq!(digits(123_456.0), "123,456");
}
