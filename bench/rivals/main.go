// Command rivals measures sluice beside what else uploads a stream of unknown length: the same bytes, the same
// server, the same machine, in turns.
//
//	cd bench/rivals && go run .
//	cd bench/rivals && go run . -only '^stdin' -o ../../docs
//	cd bench/rivals && go run . -versitygw     beside a real S3 server, too
//
// Every contender is a program of its own (contender/…), and is measured from its start to its exit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/size"
)

var roles = lab.Roles{toB2: lab.PlayB2, toSink: playSink, toVersity: playVersity, "source": lab.PlaySource}

func main() {
	if roles.Play(os.Args) {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "rivals:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	length, rounds, only := int64(4<<30), 5, regexp.MustCompile("")
	flags := flag.NewFlagSet("rivals", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Func("size", "`length` of the stream (default 4GiB)", func(text string) (err error) {
		length, err = size.Parse(text)
		return err
	})
	flags.IntVar(&rounds, "rounds", rounds, "how often everything is measured, in turns")
	flags.Func("only", "only entries whose names match the `regexp`", func(text string) (err error) {
		only, err = regexp.Compile(text)
		return err
	})
	real := flags.Bool("versitygw", false, "upload to a real S3 server as well, which stores what it gets in the folder for temporary files")
	docs := flags.String("o", "", "put the table into the PERFORMANCE.md of a `folder`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	entries := chosen(only, *real)
	if len(entries) == 0 {
		return fmt.Errorf("-only %v matches no entry", only)
	}
	if rounds < 1 || length < 1 {
		return fmt.Errorf("%d rounds of %d bytes measure nothing", rounds, length)
	}
	bin, err := os.MkdirTemp("", "rivals")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	fmt.Fprintln(stderr, "building the contenders")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin+string(os.PathSeparator), "./contender/...")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build (run this in bench/rivals): %w: %s", err, out)
	}
	results, err := race(ctx, bin, entries, length, rounds, stderr)
	if err != nil {
		return err
	}
	header := fmt.Sprintf("%s Streams of %s; whole programs from start to exit.",
		lab.Header("cd bench/rivals && "+lab.Shell(append([]string{"go", "run", "."}, args...)...), rounds), size.Format(length))
	fmt.Fprintf(stdout, "%s\n\n", header)
	t := table(results, length)
	if err := t.Text(stdout); err != nil || *docs == "" {
		return err
	}
	return lab.WriteSection(filepath.Join(*docs, "PERFORMANCE.md"), "rivals", header+"\n\n"+t.Markdown())
}
