// Command b2server serves the Backblaze B2 native API from memory, for trying clients from a
// shell:
//
//	b2server -bucket backups >env &
//	sleep 1; . ./env
//
// It prints what a client needs as lines that a shell can read, then serves until it is
// interrupted or terminated.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/c1508ce4/sluice/b2backend/b2test"
	"github.com/c1508ce4/sluice/internal/printable"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

const usage = `usage: b2server [flags]
Serves the Backblaze B2 native API from memory until it is interrupted.
` + faultHelp

// run is the program: 0 is success, 1 a failure, 2 a mistake in args.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts := &b2test.Options{}
	var faults []b2test.Fault
	flags := flag.NewFlagSet("b2server", flag.ContinueOnError)
	flags.StringVar(&opts.Addr, "addr", "127.0.0.1:0", "`address` of the authorize endpoint; the others take free ports of its host")
	flags.BoolVar(&opts.Exposed, "expose", false, "allow an -addr that other machines may reach")
	flags.StringVar(&opts.Bucket, "bucket", "demo-bucket", "`name` of the bucket")
	flags.BoolVar(&opts.Discard, "discard", false, "keep sizes and digests, not content")
	flags.BoolVar(&opts.TrustSHA1, "trust-sha1", false, "believe the digests that clients send, hash nothing")
	flags.DurationVar(&opts.Latency, "latency", 0, "`time` that each request waits")
	flags.Int64Var(&opts.Bandwidth, "bandwidth", 0, "`bytes` per second of each connection, each way; 0 is no limit")
	flags.Int64Var(&opts.MinPartSize, "min-part-size", 5_000_000, "least `bytes` of every part but the last")
	flags.Func("fault", "a `fault` to meet requests with; may be repeated", func(text string) error {
		fault, err := parseFault(text)
		faults = append(faults, fault)
		return err
	})
	flags.SetOutput(io.Discard)
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		printUsage(flags, stdout)
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "b2server:", err)
		printUsage(flags, stderr)
		return 2
	}
	if err := serve(ctx, opts, faults, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "b2server:", err)
		return 1
	}
	return 0
}

func printUsage(flags *flag.FlagSet, w io.Writer) {
	fmt.Fprint(w, usage)
	flags.SetOutput(w)
	flags.PrintDefaults()
}

// serve runs the server until ctx ends.
func serve(ctx context.Context, opts *b2test.Options, faults []b2test.Fault, stdout, stderr io.Writer) error {
	server, err := b2test.Start(opts)
	if err != nil {
		return err
	}
	defer server.Close()
	if err := server.Inject(faults...); err != nil {
		return err
	}
	for _, variable := range [][2]string{
		{"B2_ENDPOINT", server.URL()},
		{"B2_APPLICATION_KEY_ID", server.KeyID()},
		{"B2_APPLICATION_KEY", server.Key()},
		{"B2_BUCKET", server.Bucket()},
	} {
		if _, err := fmt.Fprintf(stdout, "export %s=%s\n", variable[0], quote(variable[1])); err != nil {
			return fmt.Errorf("cannot print the environment: %w", err)
		}
	}
	fmt.Fprintln(stderr, "b2server: serving at", server.URL())
	if opts.Exposed {
		fmt.Fprintln(stderr, "b2server: WARNING: it is a server for tests, and with -expose other machines may reach it: its data, its keys and this machine's memory are theirs")
	}
	<-ctx.Done()
	for _, f := range server.Unfinished() {
		fmt.Fprintf(stderr, "b2server: large file %s has %d parts and is unfinished (%s)\n", printable.Text(f.Name), len(f.Parts), f.ID)
	}
	for i, n := range server.Fired() {
		fmt.Fprintf(stderr, "b2server: fault %d met %d requests\n", i+1, n)
	}
	return nil
}

// quote makes text one word of a shell.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
