//! The members of a profile as they are asked for: what is wrong is told with its path, and what nobody asked for is wrong too.

use std::cell::RefCell;

use super::template::{Address, Template, Wrong};
use super::text::{Parts, elements};
use crate::model::json::unquote;

/// An object of a profile while it is read.
pub(super) struct Given<'a> {
    /// Where it stands.
    at: String,
    parts: Parts<'a>,
    asked: RefCell<Vec<&'a str>>,
}

impl<'a> Given<'a> {
    pub(super) fn read(text: &'a str, at: &str) -> Result<Self, Wrong> {
        let parts = Parts::read(text).ok_or_else(|| (at.to_owned(), "an object".to_owned()))?;
        Ok(Self { at: at.to_owned(), parts, asked: RefCell::default() })
    }

    /// The path of a member.
    pub(super) fn path(&self, name: &str) -> String {
        if self.at.is_empty() { name.to_owned() } else { [&self.at, ".", name].concat() }
    }

    pub(super) fn wrong(&self, name: &str, need: &str) -> Wrong {
        (self.path(name), need.to_owned())
    }

    /// A member as its text.
    pub(super) fn raw(&self, name: &'a str) -> Option<&'a str> {
        self.asked.borrow_mut().push(name);
        self.parts.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// A member that is there, as its text.
    pub(super) fn needed(&self, name: &'a str) -> Result<&'a str, Wrong> {
        self.raw(name).ok_or_else(|| self.wrong(name, "is missing"))
    }

    pub(super) fn text(&self, name: &'a str) -> Result<Option<String>, Wrong> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        unquote(raw).map(Some).ok_or_else(|| self.wrong(name, "a string"))
    }

    pub(super) fn needed_text(&self, name: &'a str) -> Result<String, Wrong> {
        self.text(name)?.ok_or_else(|| self.wrong(name, "is missing"))
    }

    pub(super) fn flag(&self, name: &'a str) -> Result<bool, Wrong> {
        match self.raw(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(self.wrong(name, "true or false")),
        }
    }

    /// A whole number, 0 where there is none.
    pub(super) fn number(&self, name: &'a str) -> Result<u64, Wrong> {
        let Some(raw) = self.raw(name) else { return Ok(0) };
        raw.parse().map_err(|_| self.wrong(name, "a whole number, 0 or more"))
    }

    pub(super) fn texts(&self, name: &'a str) -> Result<Vec<String>, Wrong> {
        let wrong = || self.wrong(name, "a list of strings");
        let Some(raw) = self.raw(name) else { return Ok(Vec::new()) };
        let items = elements(raw).ok_or_else(wrong)?;
        items.into_iter().map(|it| unquote(it).ok_or_else(wrong)).collect()
    }

    /// One of a few words; the first where there is none.
    pub(super) fn one_of<T: Copy>(&self, name: &'a str, of: &[(&str, T)]) -> Result<T, Wrong> {
        let need = || {
            let names: Vec<&str> = of.iter().map(|(name, _)| *name).collect();
            self.wrong(name, &["one of ", &names.join(", ")].concat())
        };
        match self.text(name)? {
            Some(text) => word(&text, of).ok_or_else(need),
            None => of.first().map(|(_, first)| *first).ok_or_else(need),
        }
    }

    pub(super) fn object(&self, name: &'a str) -> Result<Option<Self>, Wrong> {
        self.raw(name).map(|raw| Self::read(raw, &self.path(name))).transpose()
    }

    pub(super) fn needed_object(&self, name: &'a str) -> Result<Self, Wrong> {
        Self::read(self.needed(name)?, &self.path(name))
    }

    pub(super) fn template(&self, name: &'a str) -> Result<Option<Template>, Wrong> {
        self.raw(name).map(|raw| Template::read(raw, &self.path(name))).transpose()
    }

    pub(super) fn address(&self, name: &'a str) -> Result<Address, Wrong> {
        Address::read(&self.needed_text(name)?, &self.path(name))
    }

    /// The members of an object whose names are the application's.
    pub(super) fn entries(&self, name: &'a str) -> Result<Vec<(String, &'a str)>, Wrong> {
        let Some(raw) = self.raw(name) else { return Ok(Vec::new()) };
        let parts = Parts::read(raw).ok_or_else(|| self.wrong(name, "an object"))?;
        let named = |spelled: &str| unquote(&["\"", spelled, "\""].concat());
        Ok(parts.iter().filter_map(|(name, value)| Some((named(name)?, *value))).collect())
    }

    /// What nobody asked for is a name that was spelled wrong.
    pub(super) fn end(&self) -> Result<(), Wrong> {
        let asked = self.asked.borrow();
        match self.parts.iter().find(|(name, _)| !asked.contains(name)) {
            Some((name, _)) => Err(self.wrong(name, "there is no such member")),
            None => Ok(()),
        }
    }
}

/// What a word stands for.
pub(super) fn word<T: Copy>(text: &str, of: &[(&str, T)]) -> Option<T> {
    of.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
}
