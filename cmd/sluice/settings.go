package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

const (
	flagConfig = "config"
	// destKey is the key of a destination's URL.
	destKey = "dest"
	// maxSettings is the longest file of settings, in bytes.
	maxSettings = 1 << 20
)

// settings are what the file of --config says of this run. Without a file they say nothing.
type settings struct {
	name string // of the destination that DEST names, with its colon
	root string // its URL
	// restore takes what the file has put into the environment out of it again, nil if
	// it has put nothing there
	restore func()
}

// url returns what dest stands for: NAME:PATH is PATH below the destination NAME.
func (s *settings) url(dest string) string {
	if path, ok := strings.CutPrefix(dest, s.name); ok && s.name != "" {
		return s.root + path
	}
	return dest
}

// shown returns the DEST that stands for url.
func (s *settings) shown(url string) string {
	if path, ok := strings.CutPrefix(url, s.root); ok && s.name != "" {
		return s.name + path
	}
	return url
}

// configure gives flags that are not on the command line the values of the environment, then
// those of the destination that DEST names, then those for every destination.
func (p *program) configure(cmd *cobra.Command, args []string) error {
	flags := cmd.Flags()
	if flags.Lookup(flagConfig) == nil {
		return nil // it reaches no store
	}
	if err := setFromEnvironment(flags); err != nil {
		return usageError{err}
	}
	file, err := p.readSettings(cmd)
	if err != nil {
		return usageError{err}
	}
	name, err := file.named(args, cmd.ArgsLenAtDash())
	if err != nil {
		return usageError{err}
	}
	if name != "" {
		table := file.tables[name]
		p.settings.name, p.settings.root = name+":", table.root()
		if err := table.apply(flags); err != nil {
			return usageError{err}
		}
		if p.settings.restore, err = table.export(); err != nil {
			return err
		}
	}
	if err := file.defaults.apply(flags); err != nil {
		return usageError{err}
	}
	return nil
}

// variable returns the environment variable of a flag.
func variable(flag string) string {
	return "SLUICE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// setFromEnvironment sets the flags that are not given from their variables. An empty one counts
// as none.
func setFromEnvironment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		text := os.Getenv(variable(f.Name))
		if err != nil || f.Changed || text == "" || f.Name == "help" {
			return
		}
		if e := flags.Set(f.Name, text); e != nil {
			err = fmt.Errorf("environment variable %s: %w", variable(f.Name), e)
		}
	})
	return err
}

// settingsFile is a file of settings.
type settingsFile struct {
	path     string
	defaults *settingsTable
	tables   map[string]*settingsTable // by name of the destination
}

// settingsTable is the keys of a destination, or those for every destination.
type settingsTable struct {
	meta      *toml.MetaData
	path      string
	scheme    scheme
	dest      string
	flags     map[string]toml.Primitive
	variables map[string]string
}

// readSettings reads the file of --config, or the one at its usual place if there is one.
func (p *program) readSettings(cmd *cobra.Command) (*settingsFile, error) {
	path := cmd.Flags().Lookup(flagConfig).Value.String()
	if path != "" {
		return p.parseSettings(cmd.Root(), path)
	}
	none := &settingsFile{defaults: &settingsTable{}}
	folder, err := os.UserConfigDir()
	if err != nil {
		return none, nil // the user has no home
	}
	path = filepath.Join(folder, "sluice", "config.toml")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		none.path = path
		return none, nil
	}
	return p.parseSettings(cmd.Root(), path)
}

// parseSettings reads a file of settings and checks every key, also those that this run does not
// need.
func (p *program) parseSettings(root *cobra.Command, path string) (*settingsFile, error) {
	f, info, err := openSettings(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSettings+1))
	if err == nil && len(text) > maxSettings {
		err = fmt.Errorf("%s has more than %d bytes", path, maxSettings)
	}
	if err != nil {
		return nil, err
	}
	var top map[string]toml.Primitive
	meta, err := toml.Decode(string(text), &top)
	if err != nil {
		return nil, placed(path, err)
	}
	parsed := &settingsFile{path: path, tables: make(map[string]*settingsTable)}
	parsed.defaults = &settingsTable{meta: &meta, path: path, flags: make(map[string]toml.Primitive)}
	known := flagNamesOf(root)
	secret := false
	for _, key := range meta.Keys() { // in their order
		name := key[0]
		switch {
		case len(key) > 1 || parsed.tables[name] != nil:
		case meta.Type(name) == "Hash":
			table, err := p.parseTable(&meta, path, name, top[name], known)
			if err != nil {
				return nil, placed(path, err)
			}
			parsed.tables[name] = table
			secret = secret || table.secret()
		case !slices.Contains(known, name):
			return nil, placed(path, refuse(&meta, top[name], "there is no flag --%s", name))
		default:
			parsed.defaults.flags[name] = top[name]
		}
	}
	return parsed, placed(path, checkReaders(info, secret))
}

// openSettings opens a file of settings that no other user has made or may change. It looks
// before it opens too: opening another user's FIFO would wait for that user.
func openSettings(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil {
		err = placed(path, checkWriters(info))
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = placed(path, checkWriters(info))
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// flagNamesOf returns the names of the flags that any command has, but for those that a file
// cannot have.
func flagNamesOf(root *cobra.Command) (names []string) {
	for _, cmd := range root.Commands() {
		if cmd.Flags().Lookup(flagConfig) == nil {
			continue
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Name != flagConfig && f.Name != "help" {
				names = append(names, f.Name)
			}
		})
	}
	return names
}

// destinationName is a name that is no scheme, and no drive of Windows.
var destinationName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]+$`)

// parseTable reads the table of a destination.
func (p *program) parseTable(meta *toml.MetaData, path, name string, content toml.Primitive, known []string) (*settingsTable, error) {
	isScheme := slices.ContainsFunc(p.sys.schemes, func(s scheme) bool { return s.name == name })
	if isScheme || !destinationName.MatchString(name) {
		return nil, refuse(meta, content, "a destination cannot have this name: it needs two letters, digits, or any of _.-, and must be no scheme")
	}
	var keys map[string]toml.Primitive
	if err := meta.PrimitiveDecode(content, &keys); err != nil {
		return nil, err
	}
	t := &settingsTable{meta: meta, path: path, flags: make(map[string]toml.Primitive), variables: make(map[string]string)}
	var err error
	if dest, ok := keys[destKey]; ok {
		err = meta.PrimitiveDecode(dest, &t.dest)
	}
	if err != nil {
		return nil, err
	}
	if t.scheme, _, err = findScheme(p.sys.schemes, t.dest); err != nil {
		return nil, refuse(meta, content, "it needs the key %s with a DEST, such as \"b2://BUCKET\": %w", destKey, err)
	}
	if strings.Contains(t.dest, timePattern) {
		return nil, refuse(meta, keys[destKey], "a date belongs into what follows %s:", name)
	}
	for key, value := range keys {
		switch {
		case key == destKey:
		case slices.Contains(t.scheme.variables, key):
			var text string
			if err := meta.PrimitiveDecode(value, &text); err != nil {
				return nil, err
			}
			t.variables[key] = text
		case slices.Contains(known, key):
			t.flags[key] = value
		default:
			return nil, refuse(meta, value, "there is no flag --%s, and no variable of %s:// of this name; those are %s", key, t.scheme.name,
				strings.Join(t.scheme.variables, ", "))
		}
	}
	return t, nil
}

// root returns the URL below which the names of a destination are.
func (t *settingsTable) root() string { return strings.TrimSuffix(t.dest, "/") + "/" }

// secret reports whether the table has a secret.
func (t *settingsTable) secret() bool {
	return slices.ContainsFunc(t.scheme.secrets, func(name string) bool { return t.variables[name] != "" })
}

// apply gives flags that are not given the table's values.
func (t *settingsTable) apply(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		if value, ok := t.flags[f.Name]; ok && err == nil && !f.Changed {
			err = t.meta.PrimitiveDecode(value, &flagValue{flags, f.Name})
		}
	})
	return placed(t.path, err)
}

// flagValue sets a flag to what a file has.
type flagValue struct {
	flags *pflag.FlagSet
	name  string
}

// UnmarshalTOML sets the flag. Those that may be given several times take an array.
func (v *flagValue) UnmarshalTOML(value any) error {
	values, ok := value.([]any)
	if !ok {
		values = []any{value}
	}
	for _, value := range values {
		var text string
		switch value := value.(type) {
		case string:
			text = value
		case bool:
			text = strconv.FormatBool(value)
		case int64:
			text = strconv.FormatInt(value, 10)
		default:
			return errors.New("must be a text in quotes, a whole number, true or false, or an array of them")
		}
		if err := v.flags.Set(v.name, text); err != nil {
			return err
		}
	}
	return nil
}

// export puts the table's variables into the environment of this process, where everything that
// reads them looks. If there is any, the environment's own are dropped, so that no key is used
// with another one's secret or endpoint.
func (t *settingsTable) export() (restore func(), err error) {
	if len(t.variables) == 0 {
		return nil, nil
	}
	var errs []error
	before := make(map[string]string)
	for _, name := range t.scheme.variables {
		before[name] = os.Getenv(name)
		if value := t.variables[name]; value != "" {
			errs = append(errs, os.Setenv(name, value))
		} else {
			errs = append(errs, os.Unsetenv(name))
		}
	}
	return func() {
		for name, value := range before {
			_ = os.Setenv(name, value)
		}
	}, errors.Join(errs...)
}

// named returns the name of the destination in DEST, "" if DEST is a URL, or is missing.
func (f *settingsFile) named(args []string, dash int) (string, error) {
	if len(args) == 0 || dash == 0 {
		return "", nil
	}
	name, rest, ok := strings.Cut(args[0], ":")
	if !ok || strings.HasPrefix(rest, "//") || !destinationName.MatchString(name) {
		return "", nil
	}
	if f.tables[name] != nil {
		if slices.Contains(strings.FieldsFunc(rest, isSeparator), "..") {
			return "", fmt.Errorf("DEST %q: what follows %s: must not have the element \"..\", which may lead out of %s", args[0], name, f.tables[name].dest)
		}
		return name, nil
	}
	if f.path == "" {
		return "", fmt.Errorf("DEST %q: there is no destination %q, and no file of them; see sluice help config", args[0], name)
	}
	return "", fmt.Errorf("DEST %q: there is no destination %q in %s", args[0], name, f.path)
}

// isSeparator reports whether r ends an element of a name in some store.
func isSeparator(r rune) bool { return r == '/' || r == filepath.Separator }

// destinationNames returns the names of destinations for a shell to complete.
func (p *program) destinationNames(cmd *cobra.Command) (names []string) {
	if cmd.Flags().Lookup(flagConfig) == nil || setFromEnvironment(cmd.Flags()) != nil {
		return nil
	}
	file, err := p.readSettings(cmd)
	if err != nil {
		return nil
	}
	for name := range file.tables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// refuse returns an error about the key of value that knows its place.
func refuse(meta *toml.MetaData, value toml.Primitive, format string, args ...any) error {
	return meta.PrimitiveDecode(value, &refusal{fmt.Errorf(format, args...)})
}

// refusal is an error that the library gives the place of what it is decoded from.
type refusal struct{ err error }

func (r *refusal) UnmarshalTOML(any) error { return r.err }

// placed names the file, the line and the key of an error.
func placed(path string, err error) error {
	var e toml.ParseError
	if !errors.As(err, &e) {
		if err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
		return err
	}
	key := ""
	if e.LastKey != "" {
		key = e.LastKey + ": "
	}
	return fmt.Errorf("%s:%d: %s%s", path, e.Position.Line, key, e.Message)
}
