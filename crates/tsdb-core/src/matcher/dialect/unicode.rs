//! Unicode classes by Go's names: general categories and scripts.
//!
//! The tables are those of `regex-syntax`. It knows more names than Go (properties such as `Alphabetic`, codes of
//! scripts such as `Grek`, a prefix `is`); those stay errors here, so that a pattern means the same in both.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

/// The scripts whose *names* have four letters; every other word of four letters would be a script's code.
const FOUR_LETTER_SCRIPTS: &[&str] =
    &["ahom", "cham", "kawi", "lisu", "miao", "modi", "newa", "thai", "toto"];

/// The class of a category (`Lu`, `Uppercase_Letter`), a script (`Greek`) or `Any`, `Assigned`, `ASCII`. Case,
/// `_`, `-` and blanks in the name do not matter.
pub(super) fn class(name: &str) -> Option<ClassUnicode> {
    let canonical: String =
        name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect();
    if canonical.is_empty()
        || !canonical.bytes().all(|b| b.is_ascii_alphabetic())
        || canonical.starts_with("is")
    {
        return None;
    }
    match canonical.as_str() {
        // Surrogates: none occurs in UTF-8.
        "cs" | "surrogate" => return Some(ClassUnicode::empty()),
        _ => {}
    }
    table("gc", &canonical).or_else(|| {
        let is_code = canonical.len() == 4 && !FOUR_LETTER_SCRIPTS.contains(&canonical.as_str());
        if is_code { None } else { table("sc", &canonical) }
    })
}

/// The table of one value of a Unicode property.
fn table(property: &str, value: &str) -> Option<ClassUnicode> {
    let hir = regex_syntax::parse(&format!(r"\p{{{property}={value}}}")).ok()?;
    match hir.into_kind() {
        HirKind::Class(Class::Unicode(class)) => Some(class),
        // A class of one character comes back as a literal.
        HirKind::Literal(literal) => {
            let c = std::str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
        }
        _ => None,
    }
}
