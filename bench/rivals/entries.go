package main

import (
	"regexp"

	"github.com/c1508ce4/sluice/bench/internal/lab"
)

// entry is one contender under one set of conditions.
type entry struct {
	group, program string
	server         string
	stdin          bool
	partSize       int64
	concurrency    int
	restore        bool     // it reads a file back, in place of an upload
	link           lab.Link // to read it over
	file           bool     // to a file, else to nothing
	// bound is the most that the wall time of ours may be of this one's; 0 for none.
	bound float64
}

func (e entry) String() string { return e.group + "/" + e.program }

// ours is the program that all others in a group are compared with.
const ours = "sluice"

// Conditions that are the same for all contenders that are given them.
const (
	samePart    = 16 << 20
	sameUploads = 4
)

// chosen are the entries whose names match, in the order in which they take
// turns. What stands for S3 is a sink, which costs little; the real server,
// over plain HTTP and a folder, is measured where its name is asked for.
func chosen(only *regexp.Regexp, stored bool) []entry {
	same := func(group, program string, stdin bool, bound float64) entry {
		return entry{group: group, program: program, server: toB2, stdin: stdin, partSize: samePart, concurrency: sameUploads, bound: bound}
	}
	all := []entry{
		same("reader", ours, false, 0), same("reader", "naive", false, 0.90), same("reader", "blazer", false, 0.72),
		same("stdin", ours, true, 0), same("stdin", "naive", true, 0),
		same("stdin", "blazer", true, 0.60), same("stdin", "rclone", true, 0.55),
	}
	for _, program := range []string{ours, "blazer", "rclone"} {
		all = append(all, entry{group: "own defaults", program: program, server: toB2, stdin: true})
	}
	servers := []string{toSink}
	if stored {
		servers = append(servers, toVersity)
	}
	for _, server := range servers {
		for _, program := range []string{ours, "minio", "aws"} {
			all = append(all, entry{group: server, program: program, server: server, partSize: samePart, concurrency: sameUploads})
		}
		for _, program := range []string{ours, "minio", "aws"} {
			all = append(all, entry{group: server + " own defaults", program: program, server: server})
		}
	}
	var kept []entry
	for _, e := range all {
		if only.MatchString(e.String()) {
			kept = append(kept, e)
		}
	}
	return kept
}
