package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/filebackend"
	"github.com/c1508ce4/sluice/memorybackend"
)

// A scheme is one kind of DEST. A new store is one more row in destinations.
type scheme struct {
	name  string // before ://
	form  string // of DEST, for the manual
	about string // one line of the manual
	// flags are those of storeFlags that it honours.
	flags []string
	// commands are the subcommands that it has.
	commands []string
	// variables are those of the environment that say how it is reached, which the
	// table of a destination may have instead.
	variables []string
	// secrets are the environment variables that hold its keys. CMD is run without
	// them, so that no crash report or log of CMD shows them.
	secrets []string
	// open makes what is after :// a destination. Secrets come from the environment, never
	// from rest.
	open opener
}

type opener func(ctx context.Context, rest string, o opening) (*destination, error)

// allCommands are the commands of a store that has every one, beside put.
var allCommands = []string{"get", "verify", "ls", "stat", "rm", "prune", "unfinished", "cancel"}

func destinations() []scheme {
	return []scheme{
		{
			name:  "mem",
			form:  "mem://NAME",
			about: "this process's memory, gone when sluice ends: for trying out and measuring",
			flags: []string{flagContentType, flagInfo},
			open:  openMemory,
		},
		{
			name:     "file",
			form:     "file://PATH",
			about:    "a file, in the working folder if PATH has no / in front",
			flags:    []string{flagMode, flagCreateOnly, flagResume, flagResumeID, flagRestart},
			commands: allCommands,
			open:     openFile,
		},
		s3Scheme(),
		b2Scheme(),
		bvScheme(),
	}
}

// destination is an opened DEST.
type destination struct {
	backend sluice.Backend
	name    string
	// onHeap says that the store keeps its data on this process's heap.
	onHeap bool
	// readBack opens the finished file, nil where that would cost a download.
	readBack func(name string) (io.ReadCloser, error)
	// source is the store that files are read from, nil where they are not.
	source sluice.Source
	// remove removes a file, nil where the scheme has no command rm.
	remove func(context.Context, sluice.StoredFile) error
	// look asks whether the store can be written to, as far as that can be known. It
	// is nil where opening has asked.
	look func(context.Context) error
	// parts lists those of an unfinished large file, nil where the scheme has no subcommand
	// unfinished.
	parts func(context.Context, sluice.UnfinishedFile) ([]sluice.StoredPart, error)
}

// base returns DEST without the name in it.
func (d *destination) base(dest string) string {
	base := strings.TrimSuffix(dest, d.name)
	if !strings.HasSuffix(base, "/") {
		base += "/"
	}
	return base
}

// findScheme returns the scheme of dest, and what follows its ://.
func findScheme(schemes []scheme, dest string) (s scheme, rest string, err error) {
	name, rest, ok := strings.Cut(dest, "://")
	if i := slices.IndexFunc(schemes, func(s scheme) bool { return s.name == name }); ok && i >= 0 {
		return schemes[i], rest, nil
	}
	var forms []string
	for _, s := range schemes {
		forms = append(forms, s.form)
	}
	list := strings.Join(forms, ", ")
	if !ok {
		return s, "", usageError{fmt.Errorf("DEST %q has no scheme; there are: %s", dest, list)}
	}
	return s, "", usageError{fmt.Errorf("DEST %q: scheme %q is unknown; there are: %s", dest, name, list)}
}

// openDest finds the scheme of dest and opens it.
func openDest(ctx context.Context, schemes []scheme, dest string, o opening) (*destination, error) {
	s, rest, err := findScheme(schemes, dest)
	if err != nil {
		return nil, err
	}
	if err := o.flags.check(s); err != nil {
		return nil, usageError{err}
	}
	return s.open(ctx, rest, o)
}

// named refuses a DEST that ends where the name should begin.
func (d *destination) named(dest string) error {
	if d.name == "" {
		return usageError{fmt.Errorf("DEST %q names no file", dest)}
	}
	return nil
}

func openMemory(_ context.Context, rest string, _ opening) (*destination, error) {
	b := memorybackend.New(nil)
	return &destination{
		backend:  b,
		name:     rest,
		onHeap:   true,
		readBack: func(name string) (io.ReadCloser, error) { return b.Open(name) },
	}, nil
}

// openFile takes the path as it is, with nothing in it escaped.
func openFile(_ context.Context, rest string, o opening) (*destination, error) {
	folder, name := filepath.Split(rest)
	if folder == "" {
		folder = "."
	}
	b, err := filebackend.New(folder, &filebackend.Options{Mode: o.flags.mode, NoOverwrite: o.flags.createOnly, Logger: o.log})
	if err != nil {
		return nil, err
	}
	return &destination{
		backend: b,
		name:    name,
		source:  b,
		remove:  b.Remove,
		parts:   b.Parts,
	}, nil
}
