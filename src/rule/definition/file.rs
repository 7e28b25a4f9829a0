//! From paths to texts: which files, in which order, and what is wrong with those that cannot be read.
//!
//! **Invariant:** bounded in size, number and depth; one unreadable file does not hide the problems of the others.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::diagnostic::{Diagnostic, Location, Source};

/// Of one file of definitions.
pub const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

const MAX_FILES: usize = 10_000;

/// Deeper is a circle of links.
const MAX_FOLDER_DEPTH: usize = 16;

/// Every readable file in order, and a diagnostic for each that is not. `wanted`: what is read of a folder.
pub fn read_all(paths: &[PathBuf], wanted: fn(&Path) -> bool) -> (Vec<Arc<Source>>, Vec<Diagnostic>) {
    let mut diagnostics = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        collect(path, 0, wanted, &mut files, &mut diagnostics);
    }
    if files.len() > MAX_FILES {
        let message = format!("{} files of definitions are more than the {MAX_FILES} possible", files.len());
        diagnostics.extend(paths.first().map(|path| of_file("too-many-files", path, message)));
        files.truncate(MAX_FILES);
    }
    let mut sources = Vec::new();
    for file in files {
        match read(&file) {
            Ok(source) => sources.push(source),
            Err(diagnostic) => diagnostics.push(*diagnostic),
        }
    }
    (sources, diagnostics)
}

/// A file as it is named; what is wanted of a folder, by name.
fn collect(path: &Path, depth: usize, wanted: fn(&Path) -> bool, files: &mut Vec<PathBuf>, diagnostics: &mut Vec<Diagnostic>) {
    if !path.is_dir() {
        files.push(path.to_owned());
        return;
    }
    let entries = std::fs::read_dir(path).and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>());
    let mut entries = match entries {
        Ok(entries) if depth < MAX_FOLDER_DEPTH => entries,
        Ok(_) => return diagnostics.push(of_file("unreadable", path, format!("folders nest more than {MAX_FOLDER_DEPTH} deep"))),
        Err(error) => return diagnostics.push(of_file("unreadable", path, format!("cannot read the folder: {error}"))),
    };
    entries.sort();
    for entry in entries.iter().filter(|entry| entry.is_dir() && !is_hidden(entry) || wanted(entry)) {
        collect(entry, depth + 1, wanted, files, diagnostics);
    }
}

/// A mounted Kubernetes ConfigMap keeps its older versions in folders that begin with two dots.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'))
}

/// `*.yaml` or `*.yml`, but no file of tests.
pub fn is_definition(path: &Path) -> bool {
    stem(path).is_some_and(|stem| !stem.ends_with(".test"))
}

/// `*.test.yaml` or `*.test.yml`.
pub fn is_test(path: &Path) -> bool {
    stem(path).is_some_and(|stem| stem.ends_with(".test"))
}

/// The name of a YAML file that is not hidden, without its ending.
fn stem(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_string_lossy();
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"))?;
    (!stem.starts_with('.')).then(|| stem.to_owned())
}

fn read(path: &Path) -> Result<Arc<Source>, Box<Diagnostic>> {
    let unreadable = |error| Box::new(of_file("unreadable", path, format!("cannot read the file: {error}")));
    let mut bytes = Vec::new();
    File::open(path).and_then(|file| file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(Box::new(of_file("too-long", path, format!("the file is longer than {} MiB", MAX_FILE_BYTES >> 20))));
    }
    let text = String::from_utf8(bytes).map_err(|error| not_utf8(path, &error))?;
    Ok(Source::new(path.display().to_string(), text))
}

/// Points behind the last byte that makes sense.
fn not_utf8(path: &Path, error: &std::string::FromUtf8Error) -> Box<Diagnostic> {
    let valid = error.utf8_error().valid_up_to();
    let before = String::from_utf8_lossy(error.as_bytes().get(..valid).unwrap_or_default());
    let source = Source::new(path.display().to_string(), before);
    let location = Location { source, bytes: Some(valid..valid) };
    Box::new(Diagnostic::error("not-utf8", location, "the file is not UTF-8").label("the byte after this"))
}

fn of_file(code: &'static str, path: &Path, message: String) -> Diagnostic {
    Diagnostic::error(code, Location { source: Source::new(path.display().to_string(), ""), bytes: None }, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_definitions_by_name_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "a.test.yaml", ".hidden.yaml", "readme.md", "sub/c.yaml", "..data/d.yaml"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "segments: []").unwrap();
        }
        let (sources, diagnostics) = read_all(&[folder.path().to_owned()], is_definition);
        let names: Vec<_> = sources.iter().map(|s| s.name.strip_prefix(folder.path().to_str().unwrap()).unwrap()).collect();
        assert_eq!(names, ["/a.yml", "/b.yaml", "/sub/c.yaml"]);
        assert!(diagnostics.is_empty());
        let tests = read_all(&[folder.path().to_owned()], is_test).0;
        assert!(tests.len() == 1 && tests[0].name.ends_with("/a.test.yaml"));
    }

    #[test]
    fn each_unreadable_file_is_named_with_its_reason() {
        let folder = tempfile::tempdir().unwrap();
        let broken = folder.path().join("broken.yaml");
        std::fs::write(&broken, b"segments:\n  - key: \xff").unwrap();
        let (sources, diagnostics) = read_all(&[broken, folder.path().join("absent.yaml")], is_definition);
        assert!(sources.is_empty());
        assert_eq!(diagnostics[0].code, "not-utf8");
        assert_eq!(diagnostics[0].location.as_ref().unwrap().line_and_column(), Some((2, 10)));
        assert_eq!(diagnostics[1].code, "unreadable");
    }
}
