package main

// The texts of help. Lines that begin with four spaces are shown as they are.

const rootText = `sluice stores standard input, or the output of a command, as one file of a
store, in parts, several at once, while it is being read. Its length need not be
known. The file appears when the last byte is stored, whole, or not at all.

The two commands to know, with the store's key in the environment:

    sluice put b2://backups/db.dump -- pg_dump -Fc db
    sluice get b2://backups/db.dump | pg_restore -d db

The name of the command put may be left out: sluice DEST is sluice put DEST.

A pipe cannot tell the end of a producer from its crash: both close it. In

    pg_dump -Fc db | sluice put b2://backups/db.dump

a dump that dies half way looks like one that is done, and half a dump becomes a
file. So let sluice run the command, after --: then the file is finished only if
the command exits 0.`

const rootExamples = `    tar -cf - /etc | sluice put --json mem://etc.tar
    sluice put -z -q b2://backups/db-{time:2006-01-02}.sql.zst -- pg_dump db
    sluice put file:///mnt/usb/home.tar -- tar -cf - /home
    sluice get --sha256 "$SUM" b2://backups/db-2026-11-20 > db && pg_restore -d db db
    sluice unfinished --parts b2://backups/disk.img
    sluice cancel --prefix --older 7d b2://backups/`

const putText = `put stores standard input, or what CMD writes to its standard output, as the
file DEST. The file appears when it is whole.

With CMD the file is finished only if CMD exits 0. For several commands use a
shell that reports the failure of each of them:

    sluice put mem://db.sql.gz -- bash -c 'set -o pipefail; pg_dump db | gzip'

CMD has sluice's standard input, standard error and terminal. What CMD starts in
the background and leaves behind with its output open has 10 seconds to close
it; then the output may not be whole, and nothing is finished.

SIZE is 5000000, 16MiB, 1.5GB; k, M, G, T are decimal, Ki, Mi, Gi, Ti binary.
Flags may stand before or after DEST, and come before --.

A flag that the store of DEST cannot honour is wrong usage.`

const putExamples = `    tar -cf - /etc | sluice put --json mem://etc.tar
    AWS_PROFILE=backup sluice put s3://backups/db-{time:2006-01-02} -- pg_dump -Fc db
    sluice put --size 20GB --memory 512MiB mem://disk.img < /dev/vg0/snapshot
    sluice put --patient --retention compliance:30d b2://backups/db-{time:2006-01-02} -- pg_dump -Fc db
    sluice put --resume b2://backups/disk.img < disk.img
    sluice put --patient --rate 5MB b2://backups/home.tar -- tar -cf - /home

    In a crontab, where % has to be \% and mail is sent only of what is printed:
    15 3 * * *  . /etc/backup.env; sluice put -q --patient b2://backups/db -- pg_dump -Fc db`

const getText = `get writes the file DEST to standard output, or to the file of --output. All its
bytes come or it fails; on standard output, bytes that turn out to be wrong are
out already when it fails, so look at the exit status (set -o pipefail) before
you trust them. Ranges are read over several connections at once, and a
connection that breaks is resumed where it ended.

The file of --output is new, or replaces a regular file; a link, device, FIFO,
socket or folder is left alone, and get fails: use > FILE for those. A new file
is yours alone; a replaced one keeps its permissions, unless it is another
user's. In .sluice-* beside it, what another user may have made is left alone
too, and get fails.

The length is always checked, and every digest that the store keeps: of the
whole file, or of each part. --sha256 and --sha1 check any file against what the
upload printed. The last line on standard error says what was checked.

With bv:// it is bv://ID, not the name: the service finds files by the ID that
the upload printed.`

const verifyText = `verify reads the file DEST as get does, checks its length, every digest that the
store keeps, and the digests given, and writes it nowhere. Its exit status is 0
if the file is whole.`

const lsText = `ls lists the files whose names begin with that of DEST-PREFIX, the newest version
of each, in the form of a DEST. Of files in a folder below it, only the folder is
listed, with a / at its end, unless --recursive is given.

With --json each line is an object with destination, name, id, size and modified,
or with destination and folder.`

const statText = `stat shows size, time, ID, content type, metadata and digests of the newest
version of the file DEST, and its parts, where the store knows them. It takes no
download. With --json it prints one object with destination, name, id, size,
modified, content_type, metadata, etag, digests and parts.`

const rmText = `rm removes the newest version of the file DEST. Where the store keeps earlier
versions, the one before becomes the newest. On a terminal it asks first. What
Object Lock protects cannot be removed before its time.`

const pruneText = `prune removes the older files of a DEST with a {time:LAYOUT} in its name, by the
rules of sluice help retention, and lists what it removes. put does the same
after an upload, with the same flags.`

const pruneExamples = `    sluice prune --dry-run --keep-last 7 b2://backups/db-{time:%Y-%m-%d}.dump
    sluice prune --keep-last 7 --keep-within 90d s3://backups/db-{time:2006-01-02}.dump`

const retentionText = `put --keep-last N and put --keep-within AGE remove older files once the new one
is stored; sluice prune does it alone. With --dry-run they list what would be
removed.

    sluice put --keep-last 30 b2://backups/db-{time:%Y-%m-%d}.dump -- pg_dump -Fc db

A file stays if one of the rules keeps it. AGE counts from the newest of the
files to the end of the day, month or hour that a name tells: if no new files
come, no more of the old ones go.

Only files are removed whose names the {time:LAYOUT} in DEST could have made, each
with its .manifest.json: of db-{time:%Y-%m-%d}.dump neither db-latest.dump nor
db-2026-11-31.dump. So give each host and each job a name of its own. Files that
are dated later than this run are left alone and do not count. The layout must
tell the year, the month and the day, or the year and the month; weeks cannot be
read back. The date must be in the name, with file:// after the last /.

Nothing is removed if the upload fails, if the store does not say whether the
file is finished, or if no byte came (these flags imply --fail-if-empty). The
file just stored is never removed. All versions of a name are removed, where the
store keeps several. What Object Lock protects stays, and is reported; that is
no failure. Any other failure to remove a file makes the exit status 1, though
the new file is stored, as the message says.`

const getExamples = `    sluice get b2://backups/db.dump | pg_restore -d db
    sluice get -o home.tar.zst b2://backups/home.tar.zst
    sluice get --decompress s3://backups/home.tar.zst | tar -xf -
    sluice get --sha256 "$SUM" b2://backups/db-2026-11-20 > db && pg_restore -d db db`

const unfinishedText = `unfinished lists the unfinished large files whose names begin with that of
DEST-PREFIX: ID, start, name. The store may bill their parts. It changes
nothing; an upload may be under way.

With --parts it also lists number, size, time and digest (or the ETag, where the
store knows no digest) of each part, and their sum. With --json each line is an
object with id, started and name, and with --parts also size and parts, each
with number, size, digest and stored.`

const cancelText = `cancel removes unfinished large files and their parts, and lists them: those of
the name of DEST; of them only those with an ID that is given. An ID that is not
there is a failure; having nothing to cancel is none.`

const completionText = `completion writes a script that has a shell complete sluice's commands, flags
and destinations.

    bash        source <(sluice completion bash)
    zsh         sluice completion zsh > "${fpath[1]}/_sluice"
    fish        sluice completion fish > ~/.config/fish/completions/sluice.fish
    powershell  sluice completion powershell | Out-String | Invoke-Expression`

const destinationsText = `DEST is one of:

{destinations}

Secrets come from the environment (sluice help environment) or from files, never
from arguments, which every user of the machine can read.

DEST may also be NAME:PATH, where a file has what NAME: stands for: sluice help
config.

In DEST {time:LAYOUT} becomes the time of the start in the local time zone (TZ
sets it), in a layout of Go's package time:

    {time:2006-01-02T15-04} becomes 2026-11-20T03-15

    {time:%Y-%m-%d} becomes 2026-11-20, as date and strftime write it

Any other {...} in the DEST of an upload, and a layout of another kind such as
YYYY-MM-DD, is wrong usage.

file:///srv/x is /srv/x and file://x is ./x. A regular file that exists is
replaced when the new one is whole, and nothing else is: no link, device or
FIFO. Until then the data is in .sluice-* beside it. Files there that another
user may have made are not resumed.

s3:// takes credentials, region and endpoint from the usual AWS environment and
files: AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the services
of a profile, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS, AWS_USE_FIPS_ENDPOINT,
AWS_USE_DUALSTACK_ENDPOINT, AWS_CA_BUNDLE and so on; see also --endpoint. The s3
section of a profile (addressing_style, use_accelerate_endpoint) is the AWS CLI's
own and is not read: --path-style and --endpoint are the same. put asks for the
bucket before CMD is started.`

const configText = `A file in TOML has destinations by name, and defaults of flags. It is
sluice/config.toml in the user's folder of configuration, on Linux
~/.config/sluice/config.toml, or the one of --config or SLUICE_CONFIG:

    memory = "512MiB"                # for every command that has --memory

    [offsite]
    dest = "b2://backups/web1"       # what offsite: stands for
    B2_APPLICATION_KEY_ID = "0021397f7875a6e0000000001"
    B2_APPLICATION_KEY = "K002..."
    patient = true                   # for this destination only

    [store]
    dest = "s3://backups"
    endpoint = "https://s3.example.com"
    path-style = true
    AWS_PROFILE = "backup"

DEST may then be NAME:PATH, as with rclone:

    sluice put offsite:db-{time:%Y-%m-%d}.dump -- pg_dump -Fc db
    sluice get offsite:db-2026-11-20.dump | pg_restore -d db
    sluice ls offsite:

stores b2://backups/web1/db-2026-11-20.dump and so on. Outside a table a key is
the name of a flag, without its dashes. In the table of a destination it is dest,
a flag, or a variable of its store. A flag that may be given several times takes
an array. The variables are

    b2://  B2_APPLICATION_KEY_ID, B2_APPLICATION_KEY, B2_APPLICATION_KEY_ID_FILE,
           B2_APPLICATION_KEY_FILE, B2_ENDPOINT, B2_SSE_C_KEY
    s3://  AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_PROFILE,
           AWS_REGION, AWS_ENDPOINT_URL_S3, AWS_CONFIG_FILE,
           AWS_SHARED_CREDENTIALS_FILE, AWS_CA_BUNDLE, S3_SSE_C_KEY
    bv://  BV_API_TOKEN, BV_API_TOKEN_FILE, BV_ORG_ID, BV_ENDPOINT

A flag on the command line is before its environment variable, that before the
table of the destination, and that before the keys outside tables. If a table has
any variable of its store, those of the environment are not read for it: so no key
goes with another one's secret or endpoint.

A key that is unknown is wrong usage, and so is a PATH with the element "..", and a
file or FIFO that belongs to another user, that others may write to, or that has a
secret and others may read. CMD sees nothing of the file.`

const environmentText = `Every flag has a variable, of which it takes its value if it is not given:
SLUICE_ and its name in capitals with _ for -, such as SLUICE_PART_SIZE=64MiB for
--part-size, and SLUICE_QUIET=true for -q. One that is empty counts as not set,
and one of a flag that the command has not is not read. No flag has a secret.

Variables of the stores:

    B2_APPLICATION_KEY_ID, B2_APPLICATION_KEY            the key for b2://
    B2_APPLICATION_KEY_ID_FILE, B2_APPLICATION_KEY_FILE  the same in files, which are read
                    again when the key has expired while a stream runs
    B2_ENDPOINT     another server, https:// or on this machine
    B2_SSE_C_KEY, S3_SSE_C_KEY  for --sse c, without --sse-key-file
    AWS_...         for s3://, as the AWS tools read them
    BV_API_TOKEN (or BV_API_TOKEN_FILE), BV_ORG_ID, BV_ENDPOINT  for bv://

They may be in a file instead, by the name of the destination: sluice help config.

CMD has this environment too, but without the keys of DEST: B2_APPLICATION_KEY
and B2_SSE_C_KEY for b2://; AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN and
S3_SSE_C_KEY for s3://; BV_API_TOKEN for bv://. put --pass-keys leaves them.
That guards against keys in crash reports and logs of CMD, not against a hostile
CMD: it runs as the same user.`

const outputText = `Everything but --json goes to standard error: first, with --resume, what can be
reused; then how long a stream the memory carries, then progress (on a terminal
in one line that is rewritten, elsewhere in a line every 30 seconds), and at the
end a summary. When nothing has moved for 10 seconds, a line says what sluice
waits for, with the last failure of the store. After a failure it says what
still exists in the store, and the commands that resume or remove it.

Where standard error is not a terminal, each line begins with the time and DEST,
so that the lines of several jobs in one log can be told apart:

    2026-11-20T03:15:07+01:00 b2://backups/db sluice: nothing has moved for 10s: ...

With --log-format json, on a terminal too, each line on standard error is an
object:

    time         as in 2026-11-20T03:15:07.123456789+01:00
    level        DEBUG (of -v), INFO, WARN, ERROR (which ends the command)
    msg          the text, without "sluice: "
    destination  DEST, once it is known

A line of progress has figures too: seconds and seconds_left (0: unknown), of put
source_bytes, stored_bytes, sent_bytes, parts_in_flight, retries and restarts, of
get and verify received_bytes and size. What a store logs has fields of its own;
lengths of time in them are nanoseconds. What CMD writes to standard error is its
own, and is passed through.

put --json prints one object on standard output:

    destination, exit, id, name, size
    parts                   0: stored in one call
    sha256                  with mem:// of the bytes read back, else with --sha256
    sha1                    with --sha1
    command_exit            of CMD, if it is not 0
    source_bytes            before compression
    stored_bytes, reused_bytes, resent_bytes
    retries
    restarts                uploads that were ended and started again, because they were far
                            slower than others, or too many at once
    seconds, wait_source_seconds, wait_memory_seconds, wait_network_seconds
    memory_limit, max_stream_size
    error                   after a failure; then id is "", size and parts are 0, and there
                            is no digest
    large_file              the ID of a large file that may still exist
    removed, locked         names of older files that were removed, and how many Object Lock
                            keeps; if removing them failed, there are error and id

There is no object after wrong usage.

get --json prints an object on standard error, because standard output is the
file, and without the time and DEST in front of it; with --output it prints it on
standard output, as verify --json does: destination, exit, id, name, size,
received_bytes (after decryption and decompression), sha256, sha1, checked,
seconds and, after a failure, error.`

const encryptionText = `put encrypts the stream, after compression and before anything leaves the
machine, in the format of age (https://age-encryption.org). The store never sees
a key, and what it holds can be decrypted with the age program too:

    age-keygen -o backup.key        # keep it in another place than the backups
    sluice put -z --encrypt-to age1... b2://backups/db.zst.age -- pg_dump -Fc -Z0 db
    sluice get --identity backup.key --decompress b2://backups/db.zst.age
    sluice get --encrypted b2://backups/db.zst.age | age -d -i backup.key | zstd -d

The machine that makes backups needs no secret: it has recipients (age1...,
age1pq1..., or SSH public keys, ssh-ed25519 and ssh-rsa), which --encrypt-to and
--recipients-file take, and the keys of which --identity takes. With
--passphrase-file both have the same secret, in a file with one line. Without
the key, or the passphrase, nothing restores the file: try a restore.

Compress with -z, or in CMD, and encrypt after that: encrypted bytes cannot be
compressed.

A source that fails or is cut short finishes nothing, encrypted or not. Since
the same bytes are encrypted to another stream each time, --resume and
--keep-on-error are wrong usage with encryption, and so are --size and
--large-file-sha1. Without --content-type the file's is
application/x-age-encryption; compressed only, it is application/zstd.

get recognizes an encrypted file by how it begins. Without a key it is an error,
before anything is written; --encrypted writes it as it is stored. A file that is
not encrypted is an error if a key is given. Every chunk of 64 KiB is
authenticated before it is written, and an end that is missing is an error. With
-o the file appears when all of it is decrypted; such a run begins anew each
time. To resume one, get the file with --encrypted -o, and decrypt it with age.
--offset and --length count bytes as they are stored, and take no key. Digests,
of --sha256 too, are of the bytes as they are stored.

verify needs no key. With one it also checks that the file can be decrypted.

A recipient is public: the store, too, can encrypt a file of its own to it. What
shows that a file is the one that was stored is its SHA-256, which put --sha256
prints and get --sha256 checks, or a passphrase that the store does not know.`

const resumeText = `put --resume resumes the newest unfinished large file of the name of DEST, if
there is one, and no newer file of that name. The stream is read from its first
byte again; parts that the store already has are not sent again. --resume
implies --keep-on-error. Give the flags of the first run again; {time:...} in
DEST would name another file.

It must be the same stream: the same file, or the dump of a frozen snapshot; a
second pg_dump is another, and so is what is encrypted a second time. One that
differs, or is shorter than what is stored, fails as soon as that is known, and
what is stored stays.

--restart-on-mismatch is for scheduled jobs with --resume: a stream that does
not match what is stored is uploaded whole. If that shows after the first part,
this run fails, and the next one uploads the whole stream. What was stored is
cancelled once a file at least as long is complete in the same run; what remains
is for sluice cancel --older. Mind that a PRODUCER that died looks like a
shorter stream: use -- CMD.`

const signalsText = `SIGTERM, SIGHUP and SIGINT cancel the upload: CMD is told, nothing is finished,
and the large file is cancelled, or kept with --keep-on-error (exit status 1). A
second signal kills CMD and exits at once; sluice then names the large file that
may still exist. A signal that comes while the file is being finished may be too
late: the exit status tells.

SIGTERM and SIGHUP are passed on to CMD. SIGINT is passed on unless sluice is in
the foreground of a terminal, for then CMD has it from the terminal; if it was
sent to sluice alone, SIGTERM follows after 5 seconds. CMD's output is closed at
once, and after 10 seconds CMD is killed. Signals that are ignored at the start
(nohup) stay ignored.`

const exitText = `    0   done: of put, the file exists, whole; of another command, all of it was done
    1   the command failed, or was cancelled; an upload finished nothing (with --manifest:
        or only the manifest could not be stored, and with --keep-last or --keep-within: or
        only older files could not be removed, as the message says then); what get wrote is
        not to be trusted
    2   wrong usage; nothing was started
    3   CMD failed, nothing was finished
    4   the store did not say whether the file is finished: look before trying again

The first cause decides: if the upload fails and CMD then dies because its
output is not read any more, it is 1. Commands other than put end with 0, 1 or
2.`
