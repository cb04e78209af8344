package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/printable"
	"github.com/c1508ce4/sluice/internal/size"
)

// report is the JSON object of --json. The keys are part of what scripts rely on: none is ever
// renamed. Sizes are in bytes, times in seconds. After a failure there is no file: id, size,
// parts are empty and there are no digests, and error says why.
type report struct {
	Destination string `json:"destination"`
	Exit        int    `json:"exit"`
	Error       string `json:"error,omitempty"`
	// LargeFile is the id of the large file that is or may be left unfinished.
	LargeFile string `json:"large_file,omitempty"`

	ID     string `json:"id"`
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	Parts  int    `json:"parts"` // 0: stored in one call
	SHA256 string `json:"sha256,omitempty"`
	SHA1   string `json:"sha1,omitempty"`

	CommandExit int `json:"command_exit,omitempty"` // a status other than 0

	SourceBytes   int64   `json:"source_bytes"` // read, before compression
	StoredBytes   int64   `json:"stored_bytes"` // acknowledged by the store
	ReusedBytes   int64   `json:"reused_bytes"` // of those, stored by an earlier run
	ResentBytes   int64   `json:"resent_bytes"`
	Retries       int     `json:"retries"`
	Restarts      int     `json:"restarts"`
	Seconds       float64 `json:"seconds"`
	WaitSource    float64 `json:"wait_source_seconds"`
	WaitMemory    float64 `json:"wait_memory_seconds"`
	WaitNetwork   float64 `json:"wait_network_seconds"`
	MemoryLimit   int64   `json:"memory_limit"`
	MaxStreamSize int64   `json:"max_stream_size"`

	Removed []string `json:"removed,omitempty"` // names of older files
	Locked  int      `json:"locked,omitempty"`  // older files that Object Lock keeps
}

// report tells how the upload ended, and returns what makes the exit code.
func (j *job) report(r result) error {
	switch {
	case r.code == exitUsage:
		return usagef("%s", describe(r))
	case r.err != nil:
		j.console.errorf("sluice: %s", describe(r))
		if next := j.next(r); next != "" && !j.config.quiet {
			j.console.printf("sluice: %s", next)
		}
	case !j.config.quiet:
		j.console.printf("sluice: %s", j.summary(r.file))
	}
	if r.older != nil && r.err == nil && (!j.config.quiet || r.older.locked != nil) {
		j.console.printf("sluice: %s", r.older.summary())
	}
	if j.config.json {
		if err := writeJSON(j.sys.stdout, j.object(r)); err != nil {
			j.console.errorf("sluice: the report could not be written: %v", err)
		}
	}
	if j.config.metrics != "" {
		if err := j.config.writeMetrics(j.object(r), time.Now()); err != nil {
			j.console.errorf("sluice: --metrics: %v", err)
		}
	}
	if r.code == exitDone {
		return nil
	}
	return exit(r.code)
}

func (j *job) object(r result) report {
	o := report{
		Destination: j.config.dest,
		Exit:        r.code,
		LargeFile:   r.large,
		SourceBytes: j.source.count.Load(),
	}
	o.CommandExit = j.source.exitStatus()
	if w := j.stream.Load(); w != nil {
		s := w.Stats()
		o.Name = w.name
		o.StoredBytes, o.ReusedBytes, o.ResentBytes = s.Acknowledged, s.Reused, s.Resent
		o.Retries, o.Restarts = s.Retries, s.Restarts
		o.Seconds = s.Elapsed.Seconds()
		o.WaitSource, o.WaitMemory, o.WaitNetwork = s.WaitSource.Seconds(), s.WaitMemory.Seconds(), s.WaitNetwork.Seconds()
		o.MemoryLimit, o.MaxStreamSize = w.Settings().MemoryLimit, s.MaxStreamSize
	}
	if p := r.older; p != nil {
		o.Locked = len(p.locked)
		for _, f := range p.removed {
			if !p.dryRun {
				o.Removed = append(o.Removed, f.Name)
			}
		}
	}
	if r.err != nil {
		o.Error = describe(r)
	}
	if r.file.Name == "" {
		return o
	}
	o.ID, o.Size, o.Parts = r.file.ID, r.file.Size, r.file.Parts
	o.SHA256 = hex.EncodeToString(r.file.Digests.Get("sha256"))
	o.SHA1 = hex.EncodeToString(r.file.Digests.Get("sha1"))
	return o
}

// summary is the last line of an upload that is done.
func (j *job) summary(f sluice.File) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is stored, %s", j.config.dest, size.Decimal(f.Size))
	if j.config.level > 0 {
		fmt.Fprintf(&b, " from %s", size.Decimal(j.source.count.Load()))
	}
	if j.config.encryption.given() {
		b.WriteString(", encrypted")
	}
	if f.Parts > 0 {
		fmt.Fprintf(&b, " in %d parts", f.Parts)
	}
	s := j.stream.Load().Stats()
	fmt.Fprintf(&b, ", %.1f s, %s", s.Elapsed.Seconds(), perSecond(f.Size, s.Elapsed))
	if s.Reused > 0 {
		fmt.Fprintf(&b, ", %s reused", size.Decimal(s.Reused))
	}
	b.WriteString(repeated(s))
	if status := j.source.exitStatus(); status != 0 {
		fmt.Fprintf(&b, ", %s exited %d (--ok-exit)", j.config.command[0], status)
	}
	fmt.Fprintf(&b, ", id %s", f.ID)
	for _, d := range f.Digests {
		fmt.Fprintf(&b, ", %s %x", d.Name, d.Sum)
	}
	return b.String()
}

// describe says what failed, in the words of the command line.
func describe(r result) string {
	text := strings.TrimPrefix(r.err.Error(), "sluice: ")
	var left leftError
	if errors.As(r.err, &left) {
		if r.file.Name != "" {
			return text + "; the file is stored, and older files may not all be removed"
		}
		if r.large == "" {
			return text + "; no large file was started"
		}
		return text + "; large file " + r.large + " may be left unfinished"
	}
	return flagNames.Replace(text)
}

// next says what can be done about what a failure left, "" if nothing is.
func (j *job) next(r result) string {
	if j.declared && errors.Is(r.err, sluice.ErrLongStream) {
		return "standard input grew while it was read, and this store needs to know its size first: --spool DIR stores a copy, and uploads that"
	}
	s, _, err := findScheme(j.sys.schemes, j.url)
	if r.large == "" || err != nil || !slices.Contains(s.commands, "cancel") {
		return ""
	}
	dest, id := shellQuote(j.config.dest), shellQuote(r.large)
	if strings.HasPrefix(r.large, "-") { // else it would be a flag
		id = "-- " + id
	}
	access := j.access()
	remove := fmt.Sprintf("to remove it: sluice cancel%s %s %s", access, dest, id)
	switch {
	case r.code == exitUnknown:
		return fmt.Sprintf("to see what became of it: sluice stat%s %s; sluice unfinished%s %s", access, dest, access, dest)
	case errors.Is(r.err, sluice.ErrResumeMismatch) && j.config.store.restart:
		return "to upload the whole stream to it, run the same command again; " + remove
	case errors.Is(r.err, sluice.ErrResumeMismatch):
		return fmt.Sprintf("to upload the whole stream, and keep this until that is done: sluice put%s --resume --restart-on-mismatch %s; %s", access, dest, remove)
	case j.config.encryption.given(): // the same bytes would be another stream
		return remove
	case slices.Contains(s.flags, flagResumeID):
		return fmt.Sprintf("to resume it, with the same stream and flags: sluice put%s --resume-id %s %s; %s", access, strings.TrimPrefix(id, "-- "), dest, remove)
	}
	return ""
}

// shellQuote returns the word as a shell takes it: zsh replaces a plain =ls by the path of ls.
// One that does not print is no longer the same word, but is one.
func shellQuote(word string) string {
	word = printable.Text(word)
	plain := func(c rune) bool {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("_-+=:,./@", c)
	}
	if !strings.HasPrefix(word, "=") && !strings.ContainsFunc(word, func(c rune) bool { return !plain(c) }) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// flagNames are what the options of the packages are called here.
var flagNames = strings.NewReplacer(
	"blendvisionbackend: Options.Endpoint", "blendvisionbackend: BV_ENDPOINT",
	" (ReadOptions.IgnoreManifest restores without it)", "",
	"; add one to ReadOptions.Algorithms", "",
	"ReadOptions.Concurrency", "--concurrency",
	"Options.PartSize", "--part-size",
	"Options.Concurrency", "--concurrency",
	"Options.Size", "--size",
	"Options.Manifest", "--manifest",
	"Options.Digests", "--sha256",
	"Options.Mode", "--"+flagMode,
	"Options.Region", "--"+flagRegion,
	"Options.Endpoint", "--"+flagEndpoint,
	"Options.PathStyle", "--"+flagPathStyle,
	"Options.Checksum", "--"+flagChecksum,
	"Options.OpaqueETags", "--"+flagOpaqueETags,
	"Options.MaxParts", "--"+flagMaxParts,
	"Options.MaxFile", "--"+flagMaxFile,
	", or Options.Credentials", "",
	"FileOptions.CacheControl", "--"+flagCacheControl,
	"FileOptions.ContentDisposition", "--"+flagContentDisposition,
	"FileOptions.ContentEncoding", "--"+flagContentEncoding,
	"FileOptions.ContentLanguage", "--"+flagContentLanguage,
	"FileOptions.Encryption", "--"+flagSSE,
	"FileOptions.Retention", "--"+flagRetention,
	"FileOptions.LegalHold", "--"+flagLegalHold,
	"FileOptions.StorageClass", "--"+flagStorageClass,
	"FileOptions.Tags", "--"+flagTag,
	"FileOptions.CreateOnly", "--"+flagCreateOnly,
	"FileOptions.Verify", "--"+flagVerifyOptions,
	"FileOptions.Unverified", "--"+flagTrustOption,
	"FileOptions.Type", "--"+flagBVType,
	"FileOptions.Source", "--"+flagBVSource,
	"MemoryLimit", "--memory",
	": memory limit ", ": --memory ",
	"BufferDir", "--buffer-dir",
)
