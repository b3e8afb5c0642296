//! Figures as they are kept between runs: one line a contestant, columns parted by tabs. Rows that
//! are measured again replace what was kept of them.

use std::fmt::Write;

use crate::row::Figures;

/// Every row's figures, by its name, in the order they were kept.
#[derive(Debug, Default)]
pub struct Results(Vec<(String, Vec<Figures>)>);

/// One row's lines.
pub fn lines(id: &str, all: &[Figures]) -> String {
    all.iter().fold(String::new(), |mut text, it| {
        let (name, note) = (&it.name, &it.note);
        let figures = [it.median, it.least, it.most, it.ratio];
        let figures = figures.map(|figure| format!("{figure:.4}")).join("\t");
        let _ = writeln!(text, "{id}\t{name}\t{figures}\t{note}");
        text
    })
}

fn parse(line: &str) -> Option<(&str, Figures)> {
    let mut words = line.split('\t');
    let (id, name) = (words.next()?, words.next()?);
    let mut number = || words.next()?.parse().ok();
    let figures = Figures {
        name: name.into(),
        median: number()?,
        least: number()?,
        most: number()?,
        ratio: number()?,
        note: words.next()?.into(),
    };
    Some((id, figures))
}

impl Results {
    /// Takes in what [`lines`] made; lines of anything else are passed over.
    pub fn read(text: &str) -> Self {
        let mut all = Self::default();
        for (id, figures) in text.lines().filter_map(parse) {
            match all.0.iter_mut().find(|(known, _)| known == id) {
                Some((_, row)) => row.push(figures),
                None => all.0.push((id.into(), vec![figures])),
            }
        }
        all
    }

    /// One row's figures, ours first.
    pub fn row(&self, id: &str) -> Option<&[Figures]> {
        let found = self.0.iter().find(|(known, _)| known == id)?;
        Some(&found.1)
    }

    /// Replaces what is here by what `newer` has.
    pub fn update(&mut self, newer: &Self) {
        for (id, figures) in &newer.0 {
            match self.0.iter_mut().find(|(known, _)| known == id) {
                Some((_, row)) => row.clone_from(figures),
                None => self.0.push((id.clone(), figures.clone())),
            }
        }
    }

    /// All of it, to be kept.
    pub fn text(&self) -> String {
        self.0.iter().map(|(id, all)| lines(id, all)).collect()
    }
}

#[cfg(test)]
#[test]
fn keeps_and_replaces() {
    let text = "P1\tnetstrata\t2.0000\t1.0000\t3.0000\t1.0000\tverified\n\
                P1\tsmoltcp\t1.0000\t1.0000\t1.0000\t2.0000\t\n\
                P2\tnetstrata\t5.0000\t5.0000\t5.0000\t1.0000\t\n";
    let mut all = Results::read(text);
    assert_eq!(all.text(), text);
    assert_eq!(all.row("P1").map(<[_]>::len), Some(2));
    all.update(&Results::read("P1\tnetstrata\t9\t9\t9\t1\t\nno line\n"));
    assert_eq!(all.row("P1").map(|row| row[0].median), Some(9.0));
    assert_eq!(all.row("P2").map(<[_]>::len), Some(1));
    assert!(all.row("P3").is_none());
}
