use std::{
    os::unix::fs::symlink,
    process::{Command, Stdio},
    time::{Instant, SystemTime},
};

use super::*;

#[test]
fn only_the_owner_may_read_and_for_files_of_root_the_group() {
    for (mode, owner, exposed) in [
        (0o100600, 1000, false),
        (0o100400, 1000, false),
        (0o100640, 1000, true),
        (0o100620, 1000, true),
        (0o100604, 1000, true),
        (0o100644, 1000, true),
        (0o100601, 1000, true),
        (0o100400, 0, false),
        (0o100440, 0, false),
        (0o100640, 0, false),
        (0o100660, 0, true),
        (0o100444, 0, true),
    ] {
        assert_eq!(is_exposed(mode, owner), exposed, "{mode:o} of {owner}");
    }
}

#[test]
fn a_folder_is_called_one_whatever_its_mode() {
    let folder = tempfile::tempdir().unwrap();
    for mode in [0o700, 0o755, 0o1777] {
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        let error = read(folder.path(), 10).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is a directory; a file is needed", folder.path().display()));
    }
}

#[test]
fn the_remedy_is_one_that_can_be_followed() {
    let path = Path::new("/run/secrets/key.pem");
    let text = |remedy: ModeRemedy| PrivateFileError::Exposed { path: path.to_owned(), mode: 0o444, remedy }.to_string();
    assert_eq!(
        text(ModeRemedy::Change),
        "/run/secrets/key.pem can be read by others (mode 0444): run `chmod 600 /run/secrets/key.pem`"
    );
    assert_eq!(
        text(ModeRemedy::Give(1000)),
        "/run/secrets/key.pem can be read by others (mode 0444): run `chown 1000 /run/secrets/key.pem && chmod 600 \
         /run/secrets/key.pem` as root"
    );
    let mount = text(ModeRemedy::Mount);
    for part in ["mounted read-only", "`defaultMode: 0440`", "`fsGroup`", "`mode: 0400`", "`filePermission: \"0440\"`"] {
        assert!(mount.contains(part), "{mount}");
    }
    assert!(!mount.contains("run `chmod"), "{mount}");
}

/// In a mount namespace of its own, where that is allowed.
#[test]
fn a_secret_that_is_mounted_read_only_is_told_apart() {
    const IN_NAMESPACE: &str = "SYNCGATE_TEST_READ_ONLY_FILE";
    if let Some(path) = std::env::var_os(IN_NAMESPACE) {
        let error = read(Path::new(&path), 100).unwrap_err();
        assert!(matches!(error, PrivateFileError::Exposed { mode: 0o644, remedy: ModeRemedy::Mount, .. }), "{error}");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    fs::write(&path, "secret").unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
    let own = PrivateFileError::Exposed { path: path.clone(), mode: 0o644, remedy: ModeRemedy::Change };
    assert_eq!(read(&path, 100).unwrap_err().to_string(), own.to_string());
    let mount = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
    let may = Command::new("unshare").args(["-rm", "sh", "-c", mount, "sh"]).arg(folder.path()).arg("true").output();
    if !may.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: mounts cannot be made here");
        return;
    }
    let mut child = Command::new("unshare");
    child.args(["-rm", "sh", "-c", mount, "sh"]).arg(folder.path()).arg(std::env::current_exe().unwrap());
    child.args(["--exact", "private_file::tests::a_secret_that_is_mounted_read_only_is_told_apart"]).env(IN_NAMESPACE, &path);
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn what_a_crash_has_left_stops_nobody_and_is_removed_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let old = SystemTime::now() - Duration::from_secs(120);
    let leave = |name: &str, at: SystemTime| {
        let file = File::create(folder.path().join(name)).unwrap();
        file.set_modified(at).unwrap();
    };
    // The names of version 0.1.0, among them the one that this very process would have had, and today's.
    let ours = format!("keys.json.{}.new", std::process::id());
    for name in [&ours, "keys.json.1.new", "keys.json.aB3dE9fG1hI2.syncgate-new"] {
        leave(name, old);
    }
    // Somebody may be writing these, and those are not ours.
    leave("keys.json.999999.new", SystemTime::now());
    leave("keys.json.backup.new", old);
    leave("other.json.1.new", old);
    leave("keys.json.new", old);
    for replace in [false, true, true] {
        write(&path, b"content", replace).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert_eq!(
            names(folder.path()),
            ["keys.json", "keys.json.999999.new", "keys.json.backup.new", "keys.json.new", "other.json.1.new"]
        );
    }
}

#[test]
fn a_dangling_link_or_a_broken_one_at_the_name_of_the_past_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    symlink("/nonexistent/place", folder.path().join(format!("keys.json.{}.new", std::process::id()))).unwrap();
    write(&path, b"content", true).unwrap();
    assert_eq!(read(&path, 100).unwrap().as_slice(), b"content");
}

/// Kills a process at whatever it is doing, again and again. The file is whole each time, and the next process can write it.
#[test]
fn a_process_that_is_killed_while_it_writes_leaves_a_whole_file() {
    const FILE: &str = "SYNCGATE_TEST_FILE_TO_WRITE";
    if let Some(path) = std::env::var_os(FILE) {
        let deadline = Instant::now() + Duration::from_secs(60);
        for letter in (b'a'..=b'z').cycle().take_while(|_| Instant::now() < deadline) {
            write(Path::new(&path), &[letter; 20_000], true).unwrap();
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    for round in 0..20 {
        // Two at a time, as a restart that overlaps, or two gateways with one snapshot.
        let mut writers = [(); 2].map(|()| {
            let mut writer = Command::new(std::env::current_exe().unwrap());
            writer.args(["--exact", "private_file::tests::a_process_that_is_killed_while_it_writes_leaves_a_whole_file"]);
            writer.env(FILE, &path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        while !path.exists() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        // Never the same moment.
        std::thread::sleep(Duration::from_micros(500 + round * 1_337));
        for writer in &mut writers {
            assert!(writer.try_wait().unwrap().is_none(), "a writer has failed");
            writer.kill().unwrap();
            writer.wait().unwrap();
        }
        let content = read(&path, 20_000).unwrap();
        assert!(content.len() == 20_000 && content.iter().all(|byte| byte == &content[0]), "half a file");
        write(&path, &[b'a'; 20_000], true).unwrap();
    }
    let left = names(folder.path());
    for name in left.iter().filter(|name| *name != "keys.json") {
        assert!(is_unfinished(name, "keys.json"), "{name}");
        File::options().write(true).open(folder.path().join(name)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
    }
    write(&path, b"content", true).unwrap();
    assert_eq!(names(folder.path()), ["keys.json"]);
}

#[test]
fn an_existing_file_is_left_as_it_is_also_by_two_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn({
                    let path = &path;
                    move || write(path, &[number; 100], false)
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let winner = outcomes.iter().position(Result::is_ok).unwrap();
    assert_eq!(read(&path, 100).unwrap().as_slice(), [u8::try_from(winner).unwrap(); 100]);
    for error in outcomes.into_iter().filter_map(Result::err) {
        assert!(matches!(&error, PrivateFileError::Exists { path: existing } if *existing == path), "{error}");
    }
    assert_eq!(names(folder.path()), ["key.pem"]);
}

#[test]
fn a_public_file_can_be_read_by_all_and_is_held_to_the_same_rules() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("public.pem");
    write_public(&path, b"first", false).unwrap();
    // As far as the umask allows it.
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o733, 0o600);
    assert!(matches!(write_public(&path, b"second", false), Err(PrivateFileError::Exists { .. })));
    assert_eq!(fs::read(&path).unwrap(), b"first");
}
