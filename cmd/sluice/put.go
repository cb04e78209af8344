package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// config is what the arguments of put say.
type config struct {
	*session
	given   string   // DEST as it was given
	command []string // after --, nil without it
	metrics string   // a file to write

	memory, partSize, size, rate int64 // bytes; rate a second; 0: not given
	concurrency                  int
	bufferDir, spool             string
	level                        int // zstd's, 0: not compressed
	encryption                   encryption
	sha256, sha1                 bool
	keep, passKeys, failIfEmpty  bool
	okExits                      []int // statuses of CMD that count as success, beside 0
	manifest                     bool
	keepFiles                    retention
}

const (
	defaultMemory = 256 << 20
	defaultLevel  = 3
	maxLevel      = 22
)

// put uploads a stream.
func (p *program) put() *cobra.Command {
	cmd, c := p.putCommand()
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := c.parse(p, cmd, args); err != nil {
			return err
		}
		j := newJob(c)
		return j.report(supervise(c.session, j, j.upload, j.leave))
	}
	return cmd
}

func (p *program) putCommand() (*cobra.Command, *config) {
	c := &config{session: p.newSession(), memory: defaultMemory}
	cmd := &cobra.Command{
		Use:                   "put [flags] DEST [-- CMD ARG...]",
		Short:                 "store standard input, or what CMD writes, as one file",
		Long:                  putText,
		Example:               putExamples,
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     p.completeDest,
	}
	stream := pflag.NewFlagSet("", pflag.ContinueOnError)
	level := addValue(stream, "compress", "LEVEL", setLevel(&c.level), "compress as zstd does, at level 1 to 22, 3 if none is given, with all cores; zstd -d reads it. The levels stand for four speeds: 1-2, 3-5, 6-9, 10-22. Takes memory of its own: with 4 cores up to 150 MiB at level 3, and 470 MiB from 10 on")
	level.Shorthand, level.NoOptDefVal = "z", strconv.Itoa(defaultLevel)
	c.encryption.bind(stream)
	addValue(stream, "size", "SIZE", setSize(&c.size), "exactly so many bytes will come: parts have equal sizes, the time left is known, and a stream of another length is not finished. Not needed for a regular file on standard input, which may grow while it is read")
	stream.BoolVar(&c.failIfEmpty, "fail-if-empty", false, "fail, and finish nothing, if no byte comes")
	addValue(stream, "spool", "DIR", setText(&c.spool), "first store the whole stream in a temporary file in DIR, then upload it with its size: for bv://, which must know that")
	addValue(stream, "ok-exit", "STATUS,...", setStatuses(&c.okExits), "exit statuses of CMD that count as success too, such as 1 of tar, which means that a file changed while it was read")
	stream.BoolVar(&c.manifest, "manifest", false, "also store DEST.manifest.json with the digests of the file and of its parts, by which sluice get verifies the file where the store keeps no digest")
	stream.BoolVar(&c.passKeys, "pass-keys", false, "leave the keys of DEST in the environment of CMD; see sluice help environment")
	stream.BoolVar(&c.sha256, "sha256", false, "compute the SHA-256 of the bytes uploaded")
	stream.BoolVar(&c.sha1, "sha1", false, "compute the SHA-1 of the bytes uploaded")
	addFlags(cmd, "The stream", stream)

	speed := pflag.NewFlagSet("", pflag.ContinueOnError)
	addValue(speed, "memory", "SIZE", setSize(&c.memory), "memory for pages, 256MiB if not given. It bounds the length of the stream, as the first line that sluice prints says, and how many parts are uploaded at once")
	addValue(speed, "buffer-dir", "DIR", setText(&c.bufferDir), "keep the pages in a file in DIR: --memory bounds that file, and little memory is taken")
	addValue(speed, "part-size", "SIZE", setSize(&c.partSize), "size of the first part, a sixteenth of --memory if not given; later parts grow as the stream does")
	addValue(speed, "concurrency", "N", setCount(&c.concurrency), "parts uploaded at once; as many as the network and --memory allow if not given")
	addValue(speed, "rate", "SIZE", setSize(&c.rate), "send at most so many bytes of the file a second, over all connections together, retries included. What was not used of the last eighth of a second, at most 1 MiB, may follow at once")
	addFlags(cmd, "Speed and memory", speed)

	addFlags(cmd, "Older files", c.keepFiles.flags())
	failures := pflag.NewFlagSet("", pflag.ContinueOnError)
	failures.BoolVar(&c.keep, "keep-on-error", false, "after a failure keep the unfinished large file, which the store may bill, instead of cancelling it")
	addFlags(cmd, "Failures", failures)
	output := pflag.NewFlagSet("", pflag.ContinueOnError)
	addValue(output, "metrics", "FILE", setText(&c.metrics), "replace FILE with the figures of this run in the text format of Prometheus, for node_exporter's textfile collector; the time of the last success stays after a failure, if FILE is a file that only you can write to")
	addFlags(cmd, "Output", output)
	c.bind(cmd, p.now, uploadFlags...)
	return cmd, c
}

// parse takes DEST and CMD, and rejects what no destination could make sense of.
func (c *config) parse(p *program, cmd *cobra.Command, args []string) error {
	if i := cmd.ArgsLenAtDash(); i >= 0 {
		if c.command = slices.Clone(args[i:]); len(c.command) == 0 {
			return usagef("no command after --")
		}
		args = args[:i]
	}
	if len(args) > 0 && commandNamed(cmd.Root(), args[0]) != nil {
		return usagef("a command's name comes first: sluice %s", args[0])
	}
	if len(args) > 1 {
		return usagef("%q is one argument too many after DEST %q; a command comes after --", args[1], args[0])
	}
	if len(args) > 0 {
		if err := checkPatterns(args[0]); err != nil {
			return usageError{err}
		}
	}
	dest, err := p.oneDest(cmd, args)
	if err == nil {
		c.given, err = args[0], c.keepFiles.check(cmd.Flags())
	}
	// A run of empty streams must not push out the files that are of use.
	c.failIfEmpty = c.failIfEmpty || c.keepFiles.given()
	switch {
	case err != nil:
		return err
	case c.transforms() && c.size > 0:
		return usagef("--size is the number of bytes uploaded, which is unknown with -z, and with encryption")
	case c.transforms() && c.store.largeFileSHA1 != "":
		return usagef("--large-file-sha1 is of the bytes uploaded, which are unknown with -z, and with encryption")
	case c.encryption.given() && (c.store.resumes() || c.keep):
		return usagef("encryption makes another stream of the same bytes each time, so that nothing can be resumed: leave out --resume, --resume-id and --keep-on-error")
	case c.command == nil && c.okExits != nil:
		return usagef("--ok-exit is about CMD, and there is none")
	case c.command == nil:
		if err := checkStdin(c.sys.stdin); err != nil {
			return usageError{err}
		}
	}
	if err := c.encryption.parse(); err != nil {
		return err
	}
	return c.begin(dest)
}

// transforms reports whether other bytes are uploaded than the source has.
func (c *config) transforms() bool { return c.level > 0 || c.encryption.given() }

// setLevel reads a level of compression.
func setLevel(to *int) func(string) error {
	return func(s string) error {
		switch n, err := strconv.Atoi(s); {
		case s == "true":
			*to = defaultLevel
		case s == "false":
			*to = 0
		case err != nil || n < 1 || n > maxLevel:
			return fmt.Errorf("not a level from 1 to %d", maxLevel)
		default:
			*to = n
		}
		return nil
	}
}

// leave gives up without waiting for anything.
func (j *job) leave(s os.Signal) result {
	j.source.kill()
	r := result{err: leftError{s}, large: j.largeFile(), code: exitFailed}
	if f := j.stored.Load(); f != nil {
		r.file, r.large = *f, ""
	} else if j.finishing.Load() {
		r.code = exitUnknown
	}
	return r
}

// completeDest completes the scheme of a DEST. What follows it is CMD, to put.
func (p *program) completeDest(cmd *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
	switch {
	case len(args) > 0 && cmd.Name() == "put":
		return nil, cobra.ShellCompDirectiveDefault
	case len(args) > 0:
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var forms []cobra.Completion
	for _, name := range p.destinationNames(cmd) {
		if strings.HasPrefix(name, begun) {
			forms = append(forms, name+":")
		}
	}
	for _, s := range p.sys.schemes {
		if strings.HasPrefix(s.name, begun) {
			forms = append(forms, cobra.CompletionWithDesc(s.name+"://", s.about))
		}
	}
	return forms, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}
