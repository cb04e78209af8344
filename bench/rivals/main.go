// Command rivals measures sluice beside what else uploads a stream of unknown
// length: the same bytes, the same server, the same machine, in turns.
//
//	cd bench/rivals && go run . -quick         half a minute, to see that it works
//	cd bench/rivals && go run .
//	cd bench/rivals && go run . -only '^stdin' -o ../../docs
//	cd bench/rivals && go run . -versitygw     beside a real S3 server, too
//	cd bench/rivals && go run . -restores      restores in place of uploads, over links
//
// Every contender is a program of its own (contender/…), and is measured from
// its start to its exit.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/c1508ce4/sluice/bench/internal/lab"
	"github.com/c1508ce4/sluice/internal/size"
)

var roles = lab.Roles{toB2: lab.PlayB2, toSink: playSink, toVersity: playVersity, toShelf: playShelf, "source": lab.PlaySource}

func main() { lab.Main(roles, run) }

// run is the program: 0 is success, 1 a failure, 2 a mistake in args.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := parse(args, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return 0
	}
	if err != nil {
		return 2 // parse has said why
	}
	if err := c.measure(ctx, stdout, lab.NewProgress(stderr)); err != nil {
		fmt.Fprintln(stderr, "rivals:", err)
		return 1
	}
	return 0
}

// measure builds the contenders, has them race and tells what came of it.
func (c *command) measure(ctx context.Context, stdout io.Writer, talk *lab.Progress) error {
	bin, err := os.MkdirTemp("", "rivals")
	if err != nil {
		return err
	}
	defer os.RemoveAll(bin)
	talk.Done("building the contenders")
	build := exec.CommandContext(ctx, "go", "build", "-o", bin+string(os.PathSeparator), "./contender/...")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot build (run this in bench/rivals): %w: %s", err, out)
	}
	results, err := race(ctx, bin, c.entries, c.size, c.rounds, talk)
	if err != nil {
		return err
	}
	header := fmt.Sprintf("%s Streams of %s; whole programs from start to exit.",
		lab.Header("cd bench/rivals && "+lab.Shell(append([]string{"go", "run", "."}, c.args...)...), c.rounds), size.Format(c.size))
	fmt.Fprintf(stdout, "%s\n\n", header)
	t := table(results, c.size)
	if err := t.Text(stdout); err != nil || c.docs == "" {
		return err
	}
	return lab.WriteSection(c.docs, c.section(), header+"\n\n"+t.Markdown())
}
