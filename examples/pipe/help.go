package main

import (
	"fmt"
	"strings"
)

// manual is what -h prints.
func manual(schemes []scheme) string {
	var rows strings.Builder
	for _, s := range schemes {
		fmt.Fprintf(&rows, "    %-20s %s\n", s.form, s.about)
	}
	return strings.Replace(manualText, "{destinations}\n", rows.String(), 1)
}

const manualText = `NAME
    pipe - stream standard input or a command's output into one file of a store

SYNOPSIS
    PRODUCER | pipe [flags] [DEST]
    pipe [flags] [DEST] -- CMD ARG...
    pipe get [flags] DEST
    pipe unfinished [flags] DEST-PREFIX
    pipe cancel [flags] DEST [ID...]

DESCRIPTION
    Uploads standard input to DEST, in parts, several at once, while it is being
    read. How long it is need not be known. The file appears when the last byte is
    stored, whole, or not at all.

    The two commands to know, with the store's key in the environment:
        pipe b2://backups/db.dump -- pg_dump -Fc db
        pipe get b2://backups/db.dump | pg_restore -d db

    A pipe cannot tell the end of a producer from its crash: both close it. In
        pg_dump -Fc db | pipe mem://db.dump
    a dump that dies half way looks like one that is done, and half a dump becomes a
    file. So let pipe run the command:
        pipe mem://db.dump -- pg_dump -Fc db
    Then the file is finished only if CMD exits 0. Otherwise nothing is. For several
    commands use a shell that reports the failure of each of them:
        pipe mem://db.sql.gz -- bash -c 'set -o pipefail; pg_dump db | gzip'
    (sh -c 'set -o pipefail; ...' where sh has it, as POSIX now asks.)

    CMD has pipe's standard input, standard error and terminal. What CMD starts in
    the background and leaves behind with its output open has 10 seconds to close it;
    then the output counts as not whole, and nothing is finished.

DESTINATIONS
{destinations}
    Without DEST it is mem://stdin. In DEST {time:LAYOUT} becomes the time of the
    start in the local time zone (TZ sets it), in a layout of Go's package time:
        {time:2006-01-02T15-04} becomes 2026-11-20T03-15
    file:///srv/x is /srv/x and file://x is ./x; a file that is there is replaced when the
    new one is whole. Until then it is in .sluice-* beside it.
    s3:// takes credentials, region and endpoint from the usual AWS environment and files:
    AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL_S3 and so on; see also -endpoint.
    Secrets come from the environment (see below) or from files, never from arguments,
    which every user of the machine can read.

FLAGS
    Sizes are 5000000, 16MiB, 1.5GB; k, M, G, T are decimal, Ki, Mi, Gi, Ti binary.
    Flags may stand before or after DEST, and come before --.

    -z[=LEVEL]          compress as zstd does, levels 1 to 22, 3 by default, with all
                        cores; zstd -d reads it. The levels stand for four speeds: 1-2,
                        3-5, 6-9, 10-22. Takes memory of its own: with 4 cores up to
                        150 MiB at level 3, and 470 MiB from 10 on.
    -rate SIZE          send at most so many bytes of the file a second, over all
                        connections together, retries included. What was not used of the
                        last eighth of a second, at most 1 MiB, may follow at once.
    -size SIZE          exactly so many bytes will come: parts come out equal, there is
                        a time to the end, and a stream of another length is not
                        finished. A regular file on standard input says its size.
    -memory SIZE        page memory (256MiB). It bounds the length of the stream, see
                        the first line that pipe prints, and how many parts are
                        uploaded at once.
    -buffer-dir DIR     keep the pages in a file in DIR instead: -memory then bounds that
                        file, and little memory is taken
    -spool DIR          first store the whole stream in a temporary file in DIR, then upload
                        it with its size: for bv://, which must know that
    -part-size SIZE     the first part; later ones grow as the stream needs
                        (a sixteenth of -memory)
    -concurrency N      parts uploaded at once (as many as fit in -memory)
    -sha256, -sha1      compute the digest of the bytes uploaded
    -keep-on-error      after a failure keep the unfinished large file, which the store
                        may bill, instead of cancelling it
    -resume             go on with the newest unfinished large file of that name, if there
                        is one. The stream is read from its first byte again; parts that
                        the store has already are not sent again. It must be the same
                        stream: the same file, or the dump of a frozen snapshot; a second
                        pg_dump is another. Implies -keep-on-error. Give the flags of the
                        first run again; {time:...} in DEST would name another file.
    -resume-id ID       go on with this large file, which must exist
    -patient            for unattended jobs: outlast an outage of the store of half an
                        hour and more, where else two minutes of failures are the end.
                        What is waited for is said when it takes more than half a minute,
                        then every five minutes, and when it is over.
    -timeout DURATION   give up after 90s, 45m, 8h
    -json               print one JSON object on standard output at the end
    -q                  say nothing but errors
    -v                  say what happens to every part
    -h                  print this

    What the file is given, where DEST has a place for it (b2:// has, mem:// has for the
    first two); otherwise it is wrong usage, like -resume and -patient where they cannot be:
    -content-type TYPE
    -info KEY=VALUE             metadata; may be given several times
    -src-last-modified TIME     2027-01-31 or 2027-01-31T00:00:00Z
    -cache-control TEXT         headers that downloads will have
    -content-disposition TEXT
    -content-language TEXT
    -content-encoding TEXT
    -expires TIME
    -sse b2|s3|c                encryption on the server: with the key of b2:// or of s3://,
                                or with yours
    -sse-key-file FILE          your key for -sse c, 32 bytes in base64. Without this flag
                                it is in the environment, in B2_SSE_C_KEY or S3_SSE_C_KEY.
                                The store does not keep it: whoever loses it has lost the
                                file.
    -retention MODE:UNTIL       nobody can delete the file before; MODE is governance or
                                compliance, UNTIL a TIME or an age from now: 30d, 12h
    -legal-hold on|off          nobody can delete the file while it is on
    -large-file-sha1 HEX        SHA-1 of the whole stream, if it is known; it is kept with
                                a large file, and pipe get checks it
    -endpoint URL               of s3://: another store than Amazon's
    -path-style                 of s3://: the endpoint wants the bucket in the path
    -bv-type TYPE               of bv://: FILE_TYPE_VIDEO (if not given), FILE_TYPE_AUDIO, ...
    -bv-source SOURCE           FILE_SOURCE_UPLOAD_IN_LIBRARY if not given

ENVIRONMENT
    B2_APPLICATION_KEY_ID, B2_APPLICATION_KEY    the key for b2://
    B2_APPLICATION_KEY_FILE                      the key in a file instead
    B2_ENDPOINT                                  another server, https:// or on this machine
    B2_SSE_C_KEY, S3_SSE_C_KEY                   for -sse c, without -sse-key-file
    BV_API_TOKEN (or BV_API_TOKEN_FILE), BV_ORG_ID, BV_ENDPOINT    for bv://
    CMD inherits all of it.

SUBCOMMANDS
    Their names come first. They take -timeout, -patient, -json, -q and -v as above.

    get writes the file to standard output. All its bytes come or it fails; bytes that
    have the wrong digest are out already when it fails, so look at the exit status
    (set -o pipefail) before you trust them. A connection that breaks is replaced by one
    that goes on where it ended. The length is checked always, and a digest of the whole
    file where the store has one: b2:// and s3:// of a file stored in one call, b2:// also
    of one that was uploaded with -large-file-sha1. Better is what the upload printed with
    -sha256:
    -sha256 HEX         the SHA-256 that the bytes must have
    -sha1 HEX           the SHA-1
    -sse c              with the key, as at the upload
    With bv:// it is bv://ID, not the name: the service finds files by the ID that the
    upload printed.
    How it goes is said as for an upload. A line on standard error tells the SHA-256 of what
    came. -json prints an object there with destination, exit, id, name, size,
    received_bytes, sha256, sha1, seconds and, after a failure, error.

    unfinished lists the unfinished large files whose names begin with that of
    DEST-PREFIX: id, start, name. The store bills their parts. With -json each line is
    an object with id, started and name. It changes nothing; an upload may be under way.
    -older AGE          those started longer ago: 36h, 30d
    -parts [ID...]      with the parts of each, or of those with the IDs: number, bytes,
                        time, digest (or the ETag, where the store knows no digest), and
                        the sum. With -json the object also has size and parts, each with
                        number, size, digest and stored.

    cancel removes unfinished large files and their parts, and lists them: those of the
    name of DEST; of them only those with an ID that is given. An ID that is not there is
    a failure; having nothing to cancel is none.
    -prefix             of every name that begins with that of DEST; needs -older
    -older AGE          those started longer ago; a younger one may be being uploaded

OUTPUT
    Everything but -json goes to standard error: first, with -resume, what there is to
    reuse; then how long a stream the memory given carries, then how it goes (on a terminal
    in one line that is rewritten, elsewhere in a line every 30 seconds), and at the end a
    summary. After a failure it says what is left, and the commands that go on with it or
    remove it.

    The object of -json has the keys destination, exit, id, name, size, parts (0: stored
    in one call), sha256 (with mem:// of the bytes read back from the store, else with
    -sha256), sha1, source_bytes (before compression), stored_bytes, reused_bytes,
    resent_bytes, retries, hedges (parts that were sent a second time because the first
    took far longer than usual), seconds, wait_source_seconds, wait_memory_seconds,
    wait_network_seconds, memory_limit and reach. After a failure it also has error, and
    large_file if one is left; then id is "", size and parts are 0 and there is no digest.
    There is no object after wrong usage.

SIGNALS
    SIGTERM, SIGHUP, SIGINT give the upload up: CMD is told, nothing is finished, the
    large file is cancelled, or kept as told (exit 1). A second signal kills CMD and leaves
    at once; pipe then names the large file that may be left. A signal that comes when the
    file is being finished may be too late: the exit code tells.
    SIGTERM and SIGHUP are passed on to CMD. SIGINT is passed on unless pipe is in the
    foreground of a terminal, for then CMD has it from the terminal; if it was sent to
    pipe alone, SIGTERM follows after 5 seconds. CMD's output is closed at once, and
    after 10 seconds CMD is killed. Signals ignored at the start (nohup) stay ignored.

EXIT STATUS
    0   done: the file is there, whole; of a subcommand: all of it was done
    1   the upload failed, or was given up; nothing was finished. Of get: what was written
        is not to be trusted
    2   wrong usage; nothing was started
    3   CMD failed, nothing was finished
    4   the store did not say whether the file is finished: look before trying again
    The first cause decides: if the upload fails and CMD then dies because nobody reads
    its output, it is 1. Subcommands end with 0, 1 or 2.

EXAMPLES
    tar -cf - /etc | pipe -json mem://etc.tar
    pipe -z -q mem://db-{time:2006-01-02}.sql.zst -- pg_dump db
    pipe file:///mnt/usb/home.tar -- tar -cf - /home
    AWS_PROFILE=backup pipe s3://backups/db-{time:2006-01-02} -- pg_dump -Fc db
    pipe -size 20GB -memory 512MiB mem://disk.img < /dev/vg0/snapshot
    pipe -patient -retention compliance:30d b2://backups/db-{time:2006-01-02} -- pg_dump -Fc db
    pipe -resume b2://backups/disk.img < disk.img
    pipe get -sha256 "$SUM" b2://backups/db-2026-11-20 > db && pg_restore -d db db
    pipe -patient -rate 5MB b2://backups/home.tar -- tar -cf - /home
    pipe get s3://backups/home.tar | tar -tf -
    pipe unfinished -parts b2://backups/disk.img
    pipe cancel -prefix -older 7d b2://backups/

    In a crontab, where % has to be \% and mail is sent only of what is printed:
    15 3 * * *  . /etc/backup.env; pipe -q -patient b2://backups/db -- pg_dump -Fc db
`
