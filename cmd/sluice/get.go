package main

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/size"
)

// download is one run of get or verify.
type download struct {
	*session
	discard        bool   // verify: the bytes go nowhere
	output         string // a file; "": standard output
	sha256, sha1   []byte // that the whole file must have, nil if not given
	offset, length int64  // of what is read; length 0: to the end
	decompress     string // a decompression mode
	decryption     decryption
	encrypted      bool // an encrypted file is written as it is stored
	memory         int64
	concurrency    int
	arrival        atomic.Pointer[arrival] // nil before the first byte
	recent         arrivals                // only supervise draws progress
}

// get writes a file to standard output or to a file.
func (p *program) get() *cobra.Command {
	r := &download{session: p.newSession()}
	cmd := p.downloadCommand(r, &cobra.Command{
		Use:     "get [flags] DEST",
		Short:   "read a file, to standard output or to a file",
		Long:    getText,
		Example: getExamples,
	})
	what := pflag.NewFlagSet("", pflag.ContinueOnError)
	what.VarPF(&value{kind: "FILE", set: setText(&r.output)}, "output", "o", "write to FILE, which appears when it is whole. An interrupted run is resumed by the same command; until then the data is in .sluice-* beside FILE")
	mode := addValue(what, "decompress", "MODE", setChoice(&r.decompress, decompressNeeded+"|"+decompressAuto), "decompress zstd and gzip; other content is an error, or with --decompress=auto is written as it is. Takes zstd with windows of up to 128 MiB, as zstd -d does: not what zstd --long=28 or more wrote")
	mode.NoOptDefVal = decompressNeeded
	what.BoolVar(&r.encrypted, "encrypted", false, "write an encrypted file as it is stored, for age -d; without it and without a key, such a file is an error")
	addValue(what, "offset", "SIZE", setFrom(&r.offset), "begin after so many bytes of the file as it is stored")
	addValue(what, "length", "SIZE", setSize(&r.length), "end after so many bytes; to the end of the file if not given")
	addFlags(cmd, "What is written", what)
	return cmd
}

// downloadCommand completes a command that reads a file.
func (p *program) downloadCommand(r *download, cmd *cobra.Command) *cobra.Command {
	cmd.DisableFlagsInUseLine, cmd.ValidArgsFunction = true, p.completeDest
	check := pflag.NewFlagSet("", pflag.ContinueOnError)
	addValue(check, "sha256", "HEX", setDigest(&r.sha256, sha256.Size), "the SHA-256 that the file must have")
	addValue(check, "sha1", "HEX", setDigest(&r.sha1, sha1.Size), "the SHA-1 that the file must have")
	addFlags(cmd, "Checks", check)
	decryption := pflag.NewFlagSet("", pflag.ContinueOnError)
	r.decryption.bind(decryption)
	addFlags(cmd, "Decryption", decryption)
	speed := pflag.NewFlagSet("", pflag.ContinueOnError)
	addValue(speed, "memory", "SIZE", setSize(&r.memory), "memory for pages, 128MiB if not given; it bounds how much is fetched at once")
	addValue(speed, "concurrency", "N", setCount(&r.concurrency), "ranges fetched at once; as many as the network and --memory allow if not given")
	addFlags(cmd, "Speed and memory", speed)
	r.bind(cmd, p.now, slices.Concat(accessFlags, encryptionFlags)...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dest, err := p.oneDest(cmd, args)
		if err == nil {
			err = r.check()
		}
		if err != nil {
			return err
		}
		return r.run(cmd, dest, r, r.receive)
	}
	return cmd
}

// check rejects flags that contradict each other.
func (r *download) check() error {
	part := r.offset > 0 || r.length > 0
	switch keys := len(r.decryption.files) > 0 || r.decryption.passphrase != ""; {
	case part && keys:
		return usagef("--identity and --passphrase-file need the whole file, and --offset and --length select a part of it")
	case keys && r.encrypted:
		return usagef("--encrypted writes the file as it is stored, and --identity and --passphrase-file decrypt it")
	case r.encrypted && r.decompress != "":
		return usagef("--encrypted writes the file as it is stored, and --decompress needs it decrypted")
	case part && (r.sha256 != nil || r.sha1 != nil):
		return usagef("--sha256 and --sha1 are of the whole file, and --offset and --length select a part of it")
	case part && r.decompress != "":
		return usagef("--decompress needs the whole file, and --offset and --length select a part of it")
	}
	return r.decryption.parse()
}

// progress returns the progress line of the download, "" before it has begun.
func (r *download) progress() (line string, figures []slog.Attr) {
	if a := r.arrival.Load(); a != nil {
		return r.recent.line(a)
	}
	return "", nil
}

// moved returns how many bytes have come.
func (r *download) moved() int64 {
	if a := r.arrival.Load(); a != nil {
		return a.count.Load()
	}
	return 0
}

func (r *download) waitingFor() string { return "the store" }

// received is the JSON object of get and verify.
type received struct {
	Destination   string  `json:"destination"`
	Exit          int     `json:"exit"`
	Error         string  `json:"error,omitempty"`
	ID            string  `json:"id"`
	Name          string  `json:"name"`
	Size          int64   `json:"size"`             // of the file in the store
	ReceivedBytes int64   `json:"received_bytes"`   // written, after decompression
	SHA256        string  `json:"sha256,omitempty"` // of the whole file in the store
	SHA1          string  `json:"sha1,omitempty"`
	Checked       string  `json:"checked,omitempty"`
	Seconds       float64 `json:"seconds"`
}

// receive reads the file, and reports how that ended. An error may come when some of the bytes
// are written.
func (r *download) receive(ctx context.Context, d *destination) error {
	if err := d.named(r.dest); err != nil {
		return err
	}
	o := received{Destination: r.dest, Name: d.name}
	began := time.Now()
	err := r.copy(ctx, d, &o)
	o.Seconds = time.Since(began).Seconds()
	if err != nil {
		o.Exit, o.Error, o.Checked = exitFailed, err.Error(), ""
	} else if !r.quiet {
		r.console.printf("sluice: %s", r.summary(o))
	}
	if !r.json {
		return err
	}
	if r.discard || r.output != "" {
		return errors.Join(err, writeJSON(r.sys.stdout, o))
	}
	var line strings.Builder // standard output is the file
	if jsonErr := writeJSON(&line, o); jsonErr != nil {
		return errors.Join(err, jsonErr)
	}
	r.console.write(line.String())
	return err
}

// summary is the last line of a download that is done.
func (r *download) summary(o received) string {
	text := fmt.Sprintf("%s is read, %s, %.1f s, %s, id %s", r.dest, size.Decimal(o.Size), o.Seconds, o.Checked, o.ID)
	if o.SHA256 != "" {
		text += ", sha256 " + o.SHA256
	}
	return text
}

// copy copies the file to where it shall go.
func (r *download) copy(ctx context.Context, d *destination, o *received) error {
	f, err := d.source.Stat(ctx, d.name)
	if err != nil {
		return err
	}
	o.ID, o.Size = f.ID, f.Size
	want, err := r.part(f)
	if err != nil {
		return err
	}
	coming := &arrival{size: want, began: time.Now()}
	r.arrival.Store(coming)
	if r.offset > 0 || r.length > 0 {
		o.Checked = "checked by the length of the part"
		return r.write(&rangeReader{ctx: ctx, source: d.source, file: f, offset: r.offset, left: want}, coming, o)
	}
	options := r.options(f)
	if r.output != "" && r.decompress == "" && r.decryption.identities == nil {
		if err := r.checkStored(ctx, d, f); err != nil {
			return err
		}
		return r.writeFile(ctx, d, options, coming, o)
	}
	whole, err := sluice.NewReader(ctx, d.source, f.Name, options)
	if err != nil {
		return err
	}
	defer whole.Close()
	sums := []hash.Hash{sha256.New(), sha1.New()}
	o.Checked = r.checkedBy(f.Digests, whole.File())
	err = r.write(io.TeeReader(whole, io.MultiWriter(sums[0], sums[1])), coming, o)
	o.SHA256, o.SHA1 = hex.EncodeToString(sums[0].Sum(nil)), hex.EncodeToString(sums[1].Sum(nil))
	return err
}

// checkStored rejects a file that is encrypted, unless it shall be written like that.
func (r *download) checkStored(ctx context.Context, d *destination, f sluice.StoredFile) error {
	if r.encrypted || f.Size < int64(len(ageIntro)) {
		return nil
	}
	first := sluice.NewRange(0, int64(len(ageIntro)))
	err := d.source.ReadRange(ctx, f, first)
	if err == nil && isEncrypted(first.Bytes()) {
		err = errEncrypted
	}
	return err
}

// writeFile has the package write the file, which resumes.
func (r *download) writeFile(ctx context.Context, d *destination, options *sluice.ReadOptions, coming *arrival, o *received) error {
	stored := options.Version.Digests
	options.Digests = []sluice.Algorithm{sha256Algorithm, sha1Algorithm}
	options.Hooks = &sluice.Hooks{PartDone: func(p sluice.PartEvent, err error) {
		if err == nil {
			coming.count.Add(p.Size)
			r.outage.over()
		}
	}}
	f, err := sluice.DownloadFile(ctx, d.source, options.Version.Name, r.output, options)
	if err != nil {
		return err
	}
	o.ReceivedBytes, o.Checked = f.Size, r.checkedBy(stored, f)
	o.SHA256, o.SHA1 = hex.EncodeToString(f.Digests.Get("sha256")), hex.EncodeToString(f.Digests.Get("sha1"))
	return nil
}

// write writes what comes from in, decrypted and decompressed if that is asked for.
func (r *download) write(in io.Reader, coming *arrival, o *received) error {
	in = io.TeeReader(in, io.MultiWriter(coming, r.outage))
	plain, encrypted, err := r.decryption.decrypt(in)
	switch {
	case err != nil:
		return err
	case !encrypted || r.offset > 0: // what stands in the middle of a file says nothing
	case r.decryption.identities != nil:
		o.Checked += ", and decrypted"
	case !r.encrypted && !r.discard:
		return errEncrypted
	default:
		o.Checked += ", and not decrypted"
	}
	content := plain
	if r.decompress != "" {
		opened, err := decompress(plain, r.decompress == decompressNeeded)
		if err != nil {
			return err
		}
		defer opened.Close()
		content = opened
	}
	return r.deliver(func(w io.Writer) (err error) {
		// The writer is hidden, because os.File would read in slices of its own.
		o.ReceivedBytes, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{content}, make([]byte, 256<<10))
		switch {
		case err == nil:
			_, err = io.Copy(io.Discard, plain) // what a decompressor did not need
		case r.decryption.identities != nil && errors.Is(err, io.ErrUnexpectedEOF):
			err = fmt.Errorf("the encrypted file, or what is in it, is cut short: %w", err)
		case errors.Is(err, zstd.ErrWindowSizeExceeded):
			err = fmt.Errorf("--decompress: %w: the file needs more than %s; get it without --decompress, and use zstd -d --long=31", err, size.Format(maxWindow))
		}
		return err
	})
}

// deliver calls write with where the bytes shall go.
func (r *download) deliver(write func(io.Writer) error) error {
	switch stdout, ok := r.sys.stdout.(*os.File); {
	case r.discard:
		return write(io.Discard)
	case r.output != "":
		return replaceFile(r.output, 0o600, write)
	case ok && isTerminal(stdout):
		return write(&textOnly{w: stdout})
	case ok:
		err := write(stdout)
		if err == nil {
			err = stdout.Close() // which may be when the disk turns out to be full
		}
		return err
	}
	return write(r.sys.stdout)
}

// textOnly writes text to a terminal, up to the first write that has anything else.
type textOnly struct {
	w    io.Writer
	tail []byte // of what is written: the beginning of a character
}

var errBinary = errors.New("the file is not text, which a terminal can show; redirect standard output, or use -o FILE")

func (t *textOnly) Write(p []byte) (int, error) {
	tail, ok := checkText(slices.Concat(t.tail, p))
	if !ok {
		return 0, errBinary
	}
	t.tail = slices.Clone(tail)
	return t.w.Write(p)
}

// checkText reports whether p is text that a terminal prints as it is, and returns the incomplete
// character at its end. Controls of direction make a terminal show another text than the file has.
func checkText(p []byte) (tail []byte, ok bool) {
	for utf8.FullRune(p) {
		c, n := utf8.DecodeRune(p)
		switch {
		case c == utf8.RuneError && n == 1,
			unicode.IsControl(c) && !strings.ContainsRune("\t\n\r\f", c),
			unicode.Is(unicode.Bidi_Control, c):
			return nil, false
		}
		p = p[n:]
	}
	return p, true
}
