//! Code at a URL: the ref becomes a commit id, and what the job names is looked for, before anything starts.

use std::time::Duration;

use mayfly_configs::{Code, GitUrl};

use super::git::{Done, Git, GitError, last_line};
use super::near::hint;
use super::{Options, Source, SourceError, host, is_full_sha, is_short_sha, tree};

/// Longest that asking for refs may take.
const ASK_LIMIT: Duration = Duration::from_secs(30);
/// Longest that fetching the trees of one commit may take.
const FETCH_LIMIT: Duration = Duration::from_secs(180);

/// A repository on a server, and a way to ask it.
struct Server {
    url: String,
    git: Git,
}

pub(crate) async fn resolve(url: &GitUrl, code: &Code, options: Options<'_>) -> Result<Source, SourceError> {
    let shown = url.to_string();
    if options.dirty {
        return Err(SourceError::DirtyElsewhere(shown, "is not on this machine"));
    }
    let protocol = if url.is_ssh() {
        "ssh"
    } else {
        shown.split(':').next().unwrap_or("https")
    };
    let mut git = Git::remote(options.scratch, protocol, ASK_LIMIT);
    if let Some(pin) = host::check(url).await? {
        git = git.option(&format!("http.curloptResolve={pin}"));
    }
    let server = Server { url: shown, git };
    let commit = server.commit_of(code.git_ref.as_str()).await?;
    let git = server.fetch(&commit).await?;
    let top = tree::join("", code.path.as_str());
    tree::check(&git, &commit, &top, code).await?;
    Ok(Source {
        commit,
        bundle: None,
        path: top,
        repo: server.url,
        warnings: Vec::new(),
    })
}

impl Server {
    async fn commit_of(&self, reference: &str) -> Result<String, SourceError> {
        if is_full_sha(reference) {
            return Ok(reference.to_owned());
        }
        let candidates = candidates(reference);
        let listed = self.refs(&candidates).await?;
        let found = candidates
            .iter()
            .find_map(|name| listed.iter().find(|(_, n)| n == name));
        match found {
            Some((sha, _)) => Ok(sha.clone()),
            None => Err(self.no_such_ref(reference).await?),
        }
    }

    async fn refs(&self, names: &[String]) -> Result<Vec<(String, String)>, SourceError> {
        let mut args = vec!["ls-remote", "--quiet", "--", &self.url];
        args.extend(names.iter().map(String::as_str));
        let done = self.answered(self.git.run(&args).await)?;
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        let pairs = text.lines().filter_map(|line| line.split_once('\t'));
        Ok(pairs
            .filter(|(sha, _)| is_full_sha(sha))
            .map(|(s, n)| (s.to_owned(), n.to_owned()))
            .collect())
    }

    async fn no_such_ref(&self, reference: &str) -> Result<SourceError, SourceError> {
        let short = |name: &str| {
            let name = name
                .strip_prefix("refs/heads/")
                .or_else(|| name.strip_prefix("refs/tags/"))?;
            (!name.ends_with("^{}")).then(|| name.to_owned())
        };
        let names: Vec<String> = self
            .refs(&[])
            .await?
            .iter()
            .filter_map(|(_, name)| short(name))
            .collect();
        Ok(if names.is_empty() {
            SourceError::Empty(self.url.clone())
        } else if is_short_sha(reference) {
            SourceError::ShortSha(reference.to_owned())
        } else {
            let near = hint(reference, &names);
            SourceError::NoRef {
                reference: reference.to_owned(),
                repo: self.url.clone(),
                near,
            }
        })
    }

    /// Fetches the commit and its trees, without its files, into a scratch repository.
    async fn fetch(&self, commit: &str) -> Result<Git, SourceError> {
        let format = if commit.len() == 64 {
            "--object-format=sha256"
        } else {
            "--object-format=sha1"
        };
        self.git
            .must(&["init", "-q", "--bare", format, "remote.git"])
            .await?;
        let inside = self.git.clone().env("GIT_DIR", "remote.git").limit(FETCH_LIMIT);
        inside.must(&["config", "remote.origin.url", &self.url]).await?;
        let mut args = vec!["fetch", "-q", "--depth=1", "--filter=blob:none", "--no-tags"];
        args.extend([
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--",
            "origin",
            commit,
        ]);
        let done = inside.run(&args).await;
        if done
            .as_ref()
            .is_ok_and(|done| !done.ok && is_missing_commit(&done.stderr))
        {
            let near = "; the server hands out no such commit (has its history been rewritten?)".to_owned();
            return Err(SourceError::NoRef {
                reference: commit.to_owned(),
                repo: self.url.clone(),
                near,
            });
        }
        self.answered(done)?;
        Ok(inside)
    }

    /// The answer, or why there is none, in words about the repository.
    fn answered(&self, done: Result<Done, GitError>) -> Result<Done, SourceError> {
        let unreachable = |message: String| SourceError::Unreachable {
            url: self.url.clone(),
            message,
        };
        match done {
            Ok(done) if done.ok => Ok(done),
            Ok(done) => Err(match why(&done.stderr) {
                Why::Login => SourceError::Login(self.url.clone()),
                Why::Moved => {
                    unreachable("it answers with a redirect: give the address it leads to".to_owned())
                }
                Why::HostKey => {
                    unreachable("ssh does not know its host key: connect once by hand with `ssh`".to_owned())
                }
                Why::Certificate => unreachable(CERTIFICATE.to_owned()),
                Why::Other => unreachable(last_line(&done.stderr)),
            }),
            Err(GitError::Slow { secs, .. }) => Err(unreachable(format!("no answer within {secs} s"))),
            Err(other) => Err(other.into()),
        }
    }
}

/// Names that `reference` may stand for, in Git's own order; a tag's commit before the tag object.
fn candidates(reference: &str) -> Vec<String> {
    let full: Vec<String> = match reference {
        "HEAD" => return vec!["HEAD".to_owned()],
        name if name.starts_with("refs/") => vec![name.to_owned()],
        name => vec![format!("refs/tags/{name}"), format!("refs/heads/{name}")],
    };
    full.into_iter()
        .flat_map(|name| [format!("{name}^{{}}"), name])
        .collect()
}

fn is_missing_commit(stderr: &str) -> bool {
    let signs = [
        "not our ref",
        "unadvertised object",
        "no such remote ref",
        "couldn't find remote ref",
    ];
    let stderr = stderr.to_lowercase();
    signs.iter().any(|sign| stderr.contains(sign))
}

enum Why {
    Login,
    Moved,
    HostKey,
    Certificate,
    Other,
}

/// What Git and servers say when they want to know who is asking, or do not want to say that there is nothing.
const LOGIN: &[&str] = &[
    "could not read Username",
    "could not read Password",
    "Authentication failed",
    "Permission denied",
    "error: 401",
    "error: 403",
    "not found",
    "does not appear to be a git",
];
const MOVED: &[&str] = &[
    "error: 301",
    "error: 302",
    "error: 303",
    "error: 307",
    "error: 308",
    "unable to update url base",
];

/// What the TLS libraries that Git is built with say of a certificate that nobody they trust has signed.
const UNTRUSTED: &[&str] = &[
    "server certificate verification failed",
    "SSL certificate problem",
    "SSL certificate verification failed",
];
const CERTIFICATE: &str = "its certificate is not valid for this machine: if an authority of your own has signed it, set \
                           GIT_SSL_CAINFO to the file with that authority's certificate (what `git config` says does not \
                           count here)";

fn why(stderr: &str) -> Why {
    let has = |signs: &[&str]| signs.iter().any(|sign| stderr.contains(sign));
    if has(&["Host key verification failed"]) {
        Why::HostKey
    } else if has(UNTRUSTED) {
        Why::Certificate
    } else if has(LOGIN) {
        Why::Login
    } else if has(MOVED) {
        Why::Moved
    } else {
        Why::Other
    }
}
