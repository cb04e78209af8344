package main

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// storeFlags are the flags that not every store can honour. The table of schemes says which one does.
type storeFlags struct {
	given []string // names of those given

	contentType string
	info        map[string]string

	resume       bool
	resumeID     string
	patient      bool
	lastModified time.Time
	expires      time.Time

	cacheControl, contentDisposition, contentLanguage, contentEncoding string

	largeFileSHA1  string
	sse            string
	sseKeyFile     string
	retentionMode  string
	retentionUntil time.Time
	legalHold      string

	endpoint  string
	pathStyle bool

	bvType, bvSource string
}

// The flags of which a sub-command takes some; an upload takes all.
const (
	flagContentType        = "content-type"
	flagInfo               = "info"
	flagResume             = "resume"
	flagResumeID           = "resume-id"
	flagPatient            = "patient"
	flagLastModified       = "src-last-modified"
	flagExpires            = "expires"
	flagCacheControl       = "cache-control"
	flagContentDisposition = "content-disposition"
	flagContentLanguage    = "content-language"
	flagContentEncoding    = "content-encoding"
	flagLargeFileSHA1      = "large-file-sha1"
	flagSSE                = "sse"
	flagSSEKeyFile         = "sse-key-file"
	flagRetention          = "retention"
	flagLegalHold          = "legal-hold"
	flagEndpoint           = "endpoint"
	flagPathStyle          = "path-style"
	flagBVType             = "bv-type"
	flagBVSource           = "bv-source"
)

// flagSet holds every one of them. Times of retention count from now.
func (f *storeFlags) flagSet(now time.Time) *flag.FlagSet {
	fs := flag.NewFlagSet("", flag.ContinueOnError)
	f.info = make(map[string]string)
	fs.StringVar(&f.contentType, flagContentType, "", "")
	fs.Var(infoValue(f.info), flagInfo, "")
	fs.BoolVar(&f.resume, flagResume, false, "")
	fs.StringVar(&f.resumeID, flagResumeID, "", "")
	fs.BoolVar(&f.patient, flagPatient, false, "")
	fs.Var((*timeValue)(&f.lastModified), flagLastModified, "")
	fs.Var((*timeValue)(&f.expires), flagExpires, "")
	fs.StringVar(&f.cacheControl, flagCacheControl, "", "")
	fs.StringVar(&f.contentDisposition, flagContentDisposition, "", "")
	fs.StringVar(&f.contentLanguage, flagContentLanguage, "", "")
	fs.StringVar(&f.contentEncoding, flagContentEncoding, "", "")
	fs.StringVar(&f.largeFileSHA1, flagLargeFileSHA1, "", "")
	fs.StringVar(&f.endpoint, flagEndpoint, "", "")
	fs.BoolVar(&f.pathStyle, flagPathStyle, false, "")
	fs.StringVar(&f.bvType, flagBVType, "", "")
	fs.StringVar(&f.bvSource, flagBVSource, "", "")
	fs.Func(flagSSE, "", func(s string) error { return oneOf(&f.sse, s, "b2", "s3", "c") })
	fs.StringVar(&f.sseKeyFile, flagSSEKeyFile, "", "")
	fs.Func(flagRetention, "", func(s string) error { return f.setRetention(s, now) })
	fs.Func(flagLegalHold, "", func(s string) error { return oneOf(&f.legalHold, s, "on", "off") })
	return fs
}

// bind adds those of the names to fs, all without any name.
func (f *storeFlags) bind(fs *flag.FlagSet, now time.Time, names ...string) {
	f.flagSet(now).VisitAll(func(known *flag.Flag) {
		if len(names) == 0 || slices.Contains(names, known.Name) {
			fs.Var(&givenValue{known.Value, &f.given, known.Name}, known.Name, "")
		}
	})
}

// check refuses the flags that the store cannot honour, and those that contradict each other.
func (f *storeFlags) check(s scheme) error {
	for _, name := range f.given {
		if !slices.Contains(s.flags, name) {
			return fmt.Errorf("%s:// cannot honour -%s", s.name, name)
		}
	}
	if f.sseKeyFile != "" && f.sse != "c" {
		return errors.New("-sse-key-file is the key of -sse c, which is not given")
	}
	return nil
}

// resumes reports whether an earlier run is to be gone on with.
func (f *storeFlags) resumes() bool { return f.resume || f.resumeID != "" }

// setRetention reads MODE:UNTIL.
func (f *storeFlags) setRetention(s string, now time.Time) error {
	mode, until, ok := strings.Cut(s, ":")
	if !ok {
		return errors.New("must be MODE:UNTIL")
	}
	if err := oneOf(&f.retentionMode, mode, "governance", "compliance"); err != nil {
		return fmt.Errorf("mode %w", err)
	}
	if after, err := parseAge(until); err == nil {
		f.retentionUntil = now.Add(after)
		return nil
	}
	if (*timeValue)(&f.retentionUntil).Set(until) != nil {
		return fmt.Errorf("until %q must be a time such as 2027-01-31 or 2027-01-31T00:00:00Z, or an age such as 30d or 12h", until)
	}
	return nil
}

// oneOf sets to if value is one of choices.
func oneOf(to *string, value string, choices ...string) error {
	if !slices.Contains(choices, value) {
		return fmt.Errorf("must be %s", strings.Join(choices, " or "))
	}
	*to = value
	return nil
}

// givenValue notes that a flag was given.
type givenValue struct {
	flag.Value
	given *[]string
	name  string
}

func (v *givenValue) Set(s string) error {
	*v.given = append(*v.given, v.name)
	return v.Value.Set(s)
}

func (v *givenValue) IsBoolFlag() bool {
	b, ok := v.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// timeValue is a flag of a moment: RFC 3339, or a date, which begins in the local time zone.
type timeValue time.Time

func (v *timeValue) String() string { return time.Time(*v).Format(time.RFC3339) }

func (v *timeValue) Set(s string) error {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.ParseInLocation(time.DateOnly, s, time.Local)
	}
	if err != nil {
		return errors.New("must be a time such as 2027-01-31 or 2027-01-31T00:00:00Z")
	}
	*v = timeValue(t)
	return nil
}

// parseAge reads a length of time as package time does, or in days: 36h, 30d.
func parseAge(s string) (time.Duration, error) {
	const day = 24 * time.Hour
	d, err := time.ParseDuration(s)
	if days, ok := strings.CutSuffix(s, "d"); ok {
		var n int64
		n, err = strconv.ParseInt(days, 10, 32)
		d = time.Duration(min(n, 100_000)) * day
	}
	if err != nil || d < 0 {
		return 0, errors.New("must be a length of time such as 36h or 30d")
	}
	return d, nil
}

// setAge is for flags that are a length of time.
func setAge(d *time.Duration) func(string) error {
	return func(s string) (err error) {
		*d, err = parseAge(s)
		return err
	}
}

// infoValue collects KEY=VALUE.
type infoValue map[string]string

func (v infoValue) String() string { return "" }

func (v infoValue) Set(s string) error {
	key, value, ok := strings.Cut(s, "=")
	switch _, twice := v[key]; {
	case !ok || key == "":
		return errors.New("must be KEY=VALUE")
	case twice:
		return fmt.Errorf("key %q is given twice", key)
	}
	v[key] = value
	return nil
}
