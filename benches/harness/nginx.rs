//! nginx as one of the roles: a plain proxy that many know.

use std::{
    error::Error,
    fs,
    io::{self, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::{
    process::{end, folder_in_memory, free_address, wait_until_it_listens},
    role::announce,
};

const CONFIG: &str = include_str!("../peers/conf/nginx.conf");

/// Where it is, if it is installed. Debian keeps servers where only root looks.
pub fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.find_map(|folder| Some(folder.join("nginx")).filter(|program| program.is_file()))
}

/// Runs it until standard input ends.
pub fn play(upstream: SocketAddr) -> Result<(), Box<dyn Error>> {
    let folder = folder_in_memory()?;
    let address = free_address()?;
    let mut nginx = start(folder.path(), address, upstream)?;
    let served = wait_until_it_listens(&mut nginx, address).and_then(|()| {
        announce(address, "", "")?;
        // Ended by its reader, or with it.
        let _ = io::stdin().read(&mut [0]);
        Ok(())
    });
    end(&mut nginx);
    served
}

fn start(folder: &Path, address: SocketAddr, upstream: SocketAddr) -> Result<Child, Box<dyn Error>> {
    let config = CONFIG
        .replace("${folder}", &folder.display().to_string())
        .replace("${listen}", &address.to_string())
        .replace("${upstream}", &upstream.to_string())
        // Lines written together, as the gateway does it.
        .replace("${access_log}", &format!("{}/access.log combined buffer=64k flush=1s", folder.display()));
    let file = folder.join("nginx.conf");
    fs::write(&file, config)?;
    let program = program().ok_or("nginx is not installed")?;
    Ok(Command::new(program).arg("-c").arg(file).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?)
}
