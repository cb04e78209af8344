package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/c1508ce4/sluice"
	"github.com/c1508ce4/sluice/internal/printable"
)

// listing is one run of ls.
type listing struct {
	*session
	long, recursive bool
}

// ls lists files.
func (p *program) ls() *cobra.Command {
	l := &listing{session: p.newSession()}
	cmd := &cobra.Command{
		Use:                   "ls [flags] DEST-PREFIX",
		Short:                 "list files",
		Long:                  lsText,
		Example:               "    sluice ls -l b2://backups/",
		DisableFlagsInUseLine: true,
		ValidArgsFunction:     p.completeDest,
	}
	which := pflag.NewFlagSet("", pflag.ContinueOnError)
	which.BoolVarP(&l.recursive, "recursive", "r", false, "list the files of folders too, instead of the folders")
	which.BoolVarP(&l.long, "long", "l", false, "list size and time too")
	addFlags(cmd, "What is listed", which)
	l.bind(cmd, p.now, accessFlags...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		dest, err := p.oneDest(cmd, args)
		if err != nil {
			return err
		}
		return l.run(cmd, dest, unwatched{}, l.list)
	}
	return cmd
}

// list lists the files whose names begin with that of DEST, and of those in folders below it
// once the folder.
func (l *listing) list(ctx context.Context, d *destination) error {
	base, folder := d.base(l.url), ""
	for f, err := range d.source.List(ctx, d.name) {
		if err != nil {
			return err
		}
		if l.recursive {
			if err := l.show(base, f); err != nil {
				return err
			}
			continue
		}
		rest, deeper, found := strings.Cut(f.Name[len(d.name):], "/")
		name := d.name + rest + "/"
		switch {
		case !found || deeper == "" && rest == "":
			err = l.show(base, f)
		case name != folder: // they come in order
			folder = name
			err = l.showFolder(base, name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *listing) show(base string, f sluice.StoredFile) (err error) {
	switch name := printable.Text(l.settings.shown(base + f.Name)); {
	case l.json:
		err = writeJSON(l.sys.stdout, describeFile(l.settings.shown(base+f.Name), f))
	case l.long:
		_, err = fmt.Fprintf(l.sys.stdout, "%13d  %-20s  %s\n", f.Size, moment(printable.Time(f.Modified)), name)
	default:
		_, err = fmt.Fprintln(l.sys.stdout, name)
	}
	return err
}

// listedFolder is a folder in JSON.
type listedFolder struct {
	Destination string `json:"destination"`
	Folder      string `json:"folder"`
}

func (l *listing) showFolder(base, name string) (err error) {
	switch dest := l.settings.shown(base + name); {
	case l.json:
		err = writeJSON(l.sys.stdout, listedFolder{dest, name})
	case l.long:
		_, err = fmt.Fprintf(l.sys.stdout, "%13s  %-20s  %s\n", "-", "-", printable.Text(dest))
	default:
		_, err = fmt.Fprintln(l.sys.stdout, printable.Text(dest))
	}
	return err
}
