//! The page: generated parts stand between marks, all else is written by people.

/// The page with a part replaced.
pub fn with_part(page: &str, name: &str, text: &str) -> Result<String, String> {
    let (begin, end) = (format!("<!-- generated: {name} -->\n"), format!("<!-- end: {name} -->"));
    let lacks = |mark: &str| format!("docs/benchmarks.md lacks the line {}", mark.trim());
    let (before, rest) = page.split_once(&begin).ok_or_else(|| lacks(&begin))?;
    let (_, after) = rest.split_once(&end).ok_or_else(|| lacks(&end))?;
    Ok(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}

/// A table; columns after the first are numbers if `is_numeric`.
pub fn table(head: &[&str], is_numeric: bool, rows: impl Iterator<Item = Vec<String>>) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let head: Vec<_> = head.iter().map(ToString::to_string).collect();
    let rule: String = (0..head.len()).map(|column| if column > 0 && is_numeric { "--:|" } else { "---|" }).collect();
    let rows: String = rows.map(|cells| line(&cells)).collect();
    format!("{}|{rule}\n{rows}", line(&head))
}
