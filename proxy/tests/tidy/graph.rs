//! Which file of a crate imports which, read from the sources.
//!
//! The rule: a file imports another when its code, tests aside, names something that is *defined* there. A `mod` line is
//! no import, nor is a re-export (`pub use`): who takes an item through a parent's re-export imports the file in which the
//! item stands, and a parent imports its child only where its own code uses what it re-exports. Macro bodies are read too.
//! Methods are not seen: they need no import.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Item, UseTree, Visibility};

/// A crate: how others name it, and its module tree.
struct Source {
    extern_name: &'static str,
    modules: BTreeMap<Vec<String>, Module>,
}

/// A module: the file it stands in, what it names by `use`, and its code.
#[derive(Default)]
struct Module {
    file: String,
    uses: Vec<Use>,
    code: Vec<TokenStream>,
}

struct Use {
    alias: String,
    path: Vec<String>,
    is_re_export: bool,
}

/// An import: file to file, `proxy/token/cache` for `proxy/src/token/cache.rs`.
pub(crate) type Import = (String, String);

/// What the files import from each other and, apart, from other crates (by the crate's name).
#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) imports: BTreeSet<Import>,
    pub(crate) foreign: BTreeSet<Import>,
}

/// Reads the crates, each a folder below the root with the name by which others import it.
pub(crate) fn read(root: &Path, crates: &[(&'static str, &'static str)]) -> Graph {
    let mut sources = Vec::new();
    for (folder, extern_name) in crates {
        let mut modules = BTreeMap::new();
        let src = root.join(folder).join("src");
        load(&mut modules, &src.join("lib.rs"), &src, folder, Vec::new());
        sources.push(Source { extern_name, modules });
    }
    let mut graph = Graph::default();
    for (at, source) in sources.iter().enumerate() {
        for (place, module) in &source.modules {
            Reader { sources: &sources, at, place, module, graph: &mut graph }.read();
        }
    }
    graph
}

fn load(
    modules: &mut BTreeMap<Vec<String>, Module>,
    path: &Path,
    folder: &Path,
    name: &str,
    place: Vec<String>,
) {
    let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let items = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())).items;
    add(modules, items, folder, name, place);
}

fn add(
    modules: &mut BTreeMap<Vec<String>, Module>,
    items: Vec<Item>,
    folder: &Path,
    name: &str,
    place: Vec<String>,
) {
    let mut module = Module { file: name.to_owned(), ..Module::default() };
    for item in items {
        if is_test(&item) {
            continue;
        }
        match item {
            Item::Mod(child) => {
                let ident = child.ident.to_string();
                let mut below = place.clone();
                below.push(ident.clone());
                if let Some((_, items)) = child.content {
                    add(modules, items, folder, name, below);
                    continue;
                }
                let (file, name) = (folder.join(format!("{ident}.rs")), format!("{name}/{ident}"));
                let inner = folder.join(&ident);
                let file = if file.exists() { file } else { inner.join("mod.rs") };
                load(modules, &file, &inner, &name, below);
            }
            Item::Use(item) => {
                let is_re_export = !matches!(item.vis, Visibility::Inherited);
                flatten(&item.tree, &mut Vec::new(), is_re_export, &mut module.uses);
            }
            other => module.code.push(other.to_token_stream()),
        }
    }
    modules.insert(place, module);
}

fn is_test(item: &Item) -> bool {
    let attributes = match item {
        Item::Mod(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        _ => return false,
    };
    attributes
        .iter()
        .any(|attribute| attribute.meta.to_token_stream().to_string().replace(' ', "") == "cfg(test)")
}

fn flatten(tree: &UseTree, before: &mut Vec<String>, is_re_export: bool, found: &mut Vec<Use>) {
    let mut end = |alias: String, last: Option<String>| {
        let path = before.iter().cloned().chain(last).collect();
        found.push(Use { alias, path, is_re_export });
    };
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, is_re_export, found);
            before.pop();
        }
        UseTree::Name(name) if name.ident == "self" => end(before.last().cloned().unwrap_or_default(), None),
        UseTree::Name(name) => end(name.ident.to_string(), Some(name.ident.to_string())),
        UseTree::Rename(name) if name.ident == "self" => end(name.rename.to_string(), None),
        UseTree::Rename(name) => end(name.rename.to_string(), Some(name.ident.to_string())),
        UseTree::Group(group) => {
            for tree in &group.items {
                flatten(tree, before, is_re_export, found);
            }
        }
        UseTree::Glob(_) => panic!("a glob import hides what it names: {}::*", before.join("::")),
    }
}

/// Where a path leads.
enum Found {
    /// An item, in the module of this crate and place.
    Item(usize, Vec<String>),
    /// A module of ours: naming it alone imports nothing.
    Module,
    /// Another crate.
    Foreign(String),
    /// A name of the file itself, of the prelude, or a variable.
    Nothing,
}

fn find(sources: &[Source], at: usize, place: &[String], path: &[String], depth: usize) -> Found {
    let Some((first, rest)) = path.split_first() else { return Found::Module };
    let mut place = place.to_vec();
    if let Some(other) = sources.iter().position(|source| source.extern_name == first) {
        return descend(sources, other, Vec::new(), rest, depth);
    }
    match first.as_str() {
        "crate" => place.clear(),
        "self" => {}
        "super" => {
            place.pop();
            // `super::super::x` is `super` seen from the parent.
            if rest.first().is_some_and(|next| next == "super") {
                return find(sources, at, &place, rest, depth);
            }
        }
        _ => {
            let modules = &sources[at].modules;
            let mut child = place.clone();
            child.push(first.clone());
            let is_named = modules.get(&place).is_some_and(|module| {
                modules.contains_key(&child) || module.uses.iter().any(|one| one.alias == *first)
            });
            return if is_named {
                descend(sources, at, place, path, depth)
            } else if path.len() > 1 && first.starts_with(char::is_lowercase) {
                Found::Foreign(first.clone())
            } else {
                Found::Nothing
            };
        }
    }
    descend(sources, at, place, rest, depth)
}

fn descend(sources: &[Source], at: usize, mut place: Vec<String>, path: &[String], depth: usize) -> Found {
    let Some((first, rest)) = path.split_first() else { return Found::Module };
    let modules = &sources[at].modules;
    let used = modules.get(&place).and_then(|module| module.uses.iter().find(|one| one.alias == *first));
    // `use foreign;` names itself.
    if let Some(used) = used.filter(|one| depth < 16 && one.path.first() != Some(&one.alias)) {
        let whole: Vec<_> = used.path.iter().chain(rest).cloned().collect();
        return find(sources, at, &place, &whole, depth + 1);
    }
    let mut child = place.clone();
    child.push(first.clone());
    if modules.contains_key(&child) {
        place = child;
        return descend(sources, at, place, rest, depth);
    }
    if let Some(used) = used {
        return Found::Foreign(used.path[0].clone());
    }
    Found::Item(at, place)
}

struct Reader<'s> {
    sources: &'s [Source],
    at: usize,
    place: &'s [String],
    module: &'s Module,
    graph: &'s mut Graph,
}

impl Reader<'_> {
    fn read(&mut self) {
        for one in self.module.uses.iter().filter(|one| !one.is_re_export) {
            self.names(&one.path);
        }
        for code in &self.module.code {
            self.walk(code.clone(), &[]);
        }
    }

    fn names(&mut self, path: &[String]) {
        let from = self.module.file.clone();
        match find(self.sources, self.at, self.place, path, 0) {
            Found::Item(at, place) => {
                let to = &self.sources[at].modules[&place].file;
                if *to != from {
                    self.graph.imports.insert((from, to.clone()));
                }
            }
            Found::Foreign(name) => {
                self.graph.foreign.insert((from, name));
            }
            Found::Module | Found::Nothing => {}
        }
    }

    /// Code, token by token: every `a::b::c`, and of `a::{b, c}` each branch.
    fn walk(&mut self, code: TokenStream, before: &[String]) {
        let tokens: Vec<TokenTree> = code.into_iter().collect();
        let colons = |at: usize| {
            let sign =
                |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(one)) if one.as_char() == ':');
            sign(at) && sign(at + 1)
        };
        let mut at = 0;
        while at < tokens.len() {
            let follows_dot = matches!(at.checked_sub(1).and_then(|at| tokens.get(at)), Some(TokenTree::Punct(one)) if one.as_char() == '.');
            match &tokens[at] {
                TokenTree::Ident(ident) => {
                    let mut path = before.to_vec();
                    path.push(ident.to_string());
                    at += 1;
                    while colons(at) {
                        match tokens.get(at + 2) {
                            Some(TokenTree::Ident(next)) => path.push(next.to_string()),
                            Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                                self.walk(group.stream(), &path);
                            }
                            _ => break,
                        }
                        at += 3;
                    }
                    let is_local = path.len() == 1 && !self.is_re_exported(&path[0]);
                    if !follows_dot && !is_local {
                        self.names(&path);
                    }
                }
                TokenTree::Group(group) => {
                    self.walk(group.stream(), &[]);
                    at += 1;
                }
                _ => at += 1,
            }
        }
    }

    fn is_re_exported(&self, name: &str) -> bool {
        self.module.uses.iter().any(|one| one.is_re_export && one.alias == name)
    }
}

/// The circles of a graph: each set of nodes that reach one another, with the imports inside it.
pub(crate) fn circles(imports: &BTreeSet<Import>) -> Vec<BTreeSet<Import>> {
    let mut next: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (from, to) in imports {
        next.entry(from).or_default().push(to);
    }
    let reach: BTreeMap<&str, BTreeSet<&str>> =
        next.keys().map(|node| (*node, reached(node, &next))).collect();
    let mut found: Vec<BTreeSet<Import>> = Vec::new();
    let mut placed = BTreeSet::new();
    for node in reach.keys() {
        if !reach[node].contains(node) || !placed.insert(*node) {
            continue;
        }
        let ring: BTreeSet<&str> = reach[node]
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(node)))
            .collect();
        placed.extend(&ring);
        let inside = |(from, to): &&Import| ring.contains(from.as_str()) && ring.contains(to.as_str());
        found.push(imports.iter().filter(inside).cloned().collect());
    }
    found
}

fn reached<'g>(from: &'g str, next: &BTreeMap<&'g str, Vec<&'g str>>) -> BTreeSet<&'g str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(node) = open.pop() {
        open.extend(next.get(node).into_iter().flatten().filter(|to| seen.insert(**to)));
    }
    seen
}
