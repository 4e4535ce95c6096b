//! Command line words. Few enough that a parser of our own is shorter than one to depend on.

use std::fmt;
use std::str::FromStr;

/// The words make no sense; the message says which.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Takes what it is asked for; `finish` refuses whatever nobody asked for.
pub(crate) struct Args {
    words: Vec<String>,
}

impl Args {
    pub(crate) fn new(words: &[String]) -> Self {
        Self { words: words.to_vec() }
    }

    /// Is `--name` there?
    pub(crate) fn flag(&mut self, name: &str) -> bool {
        let before = self.words.len();
        self.words.retain(|word| word != name);
        before != self.words.len()
    }

    /// The value of `--name VALUE` or `--name=VALUE`.
    pub(crate) fn value<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Usage> {
        let joined = format!("{name}=");
        let Some(at) = self.words.iter().position(|w| w == name || w.starts_with(&joined)) else {
            return Ok(None);
        };
        let word = self.words.remove(at);
        let text = match word.strip_prefix(&joined) {
            Some(text) => text.to_owned(),
            None if at < self.words.len() => self.words.remove(at),
            None => return Err(Usage(format!("{name} needs a value"))),
        };
        text.parse().map(Some).map_err(|_| Usage(format!("{name}: `{text}` is not valid")))
    }

    /// Nothing may be left over.
    pub(crate) fn finish(self) -> Result<(), Usage> {
        match self.words.first() {
            None => Ok(()),
            Some(word) => Err(Usage(format!("unexpected `{word}`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args { words: words.iter().map(|w| (*w).to_owned()).collect() }
    }

    #[test]
    fn flags_and_values_are_taken_in_any_order() {
        let mut args = args(&["--port", "81", "--no-open", "--file=a=b"]);
        assert_eq!(args.value::<String>("--file").unwrap().as_deref(), Some("a=b"));
        assert!(args.flag("--no-open"));
        assert!(!args.flag("--no-open"));
        assert_eq!(args.value::<u16>("--port").unwrap(), Some(81));
        args.finish().unwrap();
    }

    #[test]
    fn a_value_must_be_there_and_must_parse() {
        assert_eq!(args(&["--port"]).value::<u16>("--port").unwrap_err().0, "--port needs a value");
        assert_eq!(
            args(&["--port=x"]).value::<u16>("--port").unwrap_err().0,
            "--port: `x` is not valid"
        );
    }

    #[test]
    fn what_nobody_took_is_refused() {
        assert_eq!(args(&["--prot", "81"]).finish().unwrap_err().0, "unexpected `--prot`");
    }
}
