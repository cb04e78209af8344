package b2backend

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/c1508ce4/sluice"
)

// What may stay as it is and what may not is the service's table (documented).
func TestEncodeFollowsTheServicesTable(t *testing.T) {
	const plain = "ABCXYZabcxyz0189._-/~!$'()*;=:@"
	require.Equal(t, plain, encode(plain))
	for c, want := range map[string]string{
		" ": "%20", "\"": "%22", "#": "%23", "%": "%25", "&": "%26", "+": "%2B", ",": "%2C", "<": "%3C", ">": "%3E",
		"?": "%3F", "[": "%5B", "\\": "%5C", "]": "%5D", "^": "%5E", "`": "%60", "{": "%7B", "|": "%7C", "}": "%7D",
		"\x7f": "%7F", "自": "%E8%87%AA", "𐐀": "%F0%90%90%80", "": "",
	} {
		require.Equal(t, want, encode(c))
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("a b+c/ü%2F")
	f.Fuzz(func(t *testing.T, s string) {
		// which reads a plus as a space, as the service does
		back, err := url.QueryUnescape(encode(s))
		require.NoError(t, err)
		require.Equal(t, s, back)
	})
}

// unconnected is a Backend that only checks.
func unconnected(change func(*Backend)) *Backend {
	b := &Backend{first: &account{minPart: 100}}
	if change != nil {
		change(b)
	}
	return b
}

func TestCheckTakesWhatTheServiceTakes(t *testing.T) {
	for _, name := range []string{"a", strings.Repeat("x", 1024), "dir/file.txt", "自由", "+ %&", "/leading", "a//b", strings.Repeat("ü", 512)} {
		require.NoError(t, unconnected(nil).Check(sluice.FileSpec{Name: name, Size: sluice.UnknownSize}), name)
	}
	require.NoError(t, unconnected(nil).Check(sluice.FileSpec{Name: "x", Size: maxFile, ContentType: "text/plain; charset=utf-8"}))
	require.NoError(t, unconnected(nil).Check(sluice.FileSpec{Name: "x", Metadata: map[string]string{
		strings.Repeat("k", 50): "v", "AZaz09-_.`~!#$%&'*^|+": "ü", "empty": "", "b2-cache-control": "no-cache",
		lastModifiedKey: "1", largeFileSHA1Key: "x",
	}}))
	require.NoError(t, unconnected(nil).Check(sluice.FileSpec{Name: "x", Metadata: map[string]string{"k": strings.Repeat("v", 7000-2)}}))
}

func TestCheckNamesTheValueAndTheLimit(t *testing.T) {
	name := func(name string) sluice.FileSpec { return sluice.FileSpec{Name: name} }
	info := func(key, value string) sluice.FileSpec {
		return sluice.FileSpec{Name: "x", Metadata: map[string]string{key: value}}
	}
	with := func(o FileOptions) *Backend { return unconnected(func(b *Backend) { b.options = o }) }
	plain := unconnected(nil)
	for _, c := range []struct {
		want string
		b    *Backend
		spec sluice.FileSpec
	}{
		{"file name is empty", plain, name("")},
		{"file name of 1025 bytes (", plain, name(strings.Repeat("x", 1025))},
		{"is over the limit of 1024 bytes", plain, name(strings.Repeat("ü", 513))},
		{`file name "a\xff" is not UTF-8`, plain, name("a\xff")},
		{`file name "a\nb" has the control character U+000A`, plain, name("a\nb")},
		{`has the control character U+007F`, plain, name("\x7f")},
		{`file name "b/x" does not begin with "a/", to which the key is restricted`, unconnected(func(b *Backend) { b.first.namePrefix = "a/" }), name("b/x")},
		{"file size -7 is negative", plain, sluice.FileSpec{Name: "x", Size: -7}},
		{"file of 10000000000001 bytes is over the limit of 10000000000000 bytes", plain, sluice.FileSpec{Name: "x", Size: 10_000_000_000_001}},
		{`content type "text/plain\r\nX: y" is not plain ASCII`, plain, sluice.FileSpec{Name: "x", ContentType: "text/plain\r\nX: y"}},
		{"info key is empty", plain, info("", "v")},
		{"of 51 bytes is over the limit of 50 bytes", plain, info(strings.Repeat("k", 51), "v")},
		{`info key "a b" has the character ' '`, plain, info("a b", "v")},
		{`info key "ü" has the character 'ü'`, plain, info("ü", "v")},
		{`info key "b2-other": the prefix b2- is the service's own`, plain, info("B2-Other", "v")},
		{`info key "sluice-id" is this package's own`, plain, info("Sluice-ID", "v")},
		{`info value of "k" is not UTF-8`, plain, info("k", "\xff")},
		{`info value of "k" has the control character U+000D`, plain, info("k", "a\r\nb")},
		{`info key "k" is given twice: keys are stored in lower case`, plain, sluice.FileSpec{Name: "x", Metadata: map[string]string{"k": "1", "K": "2"}}},
		{`name and info of "x" are 7001 bytes, over the limit of 7000 bytes`, plain, info("k", strings.Repeat("v", 6999))},
		{"are 2049 bytes, over the limit of 2048 bytes", with(FileOptions{Encryption: EncryptB2()}), info("k", strings.Repeat("v", 2047))},
		{"are 2049 bytes, over the limit of 2048 bytes", unconnected(func(b *Backend) { b.locked = true }), info("k", strings.Repeat("v", 2047))},
		{`content type " text/plain" begins or ends with a blank`, plain, sluice.FileSpec{Name: "x", ContentType: " text/plain"}},
		{`info value of "b2-expires" does not match the grammar of that header: "nonsense"`, plain, info("b2-expires", "nonsense")},
		{`info value of "b2-content-disposition" does not match`, with(FileOptions{ContentDisposition: "a b"}), name("x")},
		{`info key "b2-cache-control" is given as "a", and as "b" by the file options`, with(FileOptions{CacheControl: "b"}), info("b2-cache-control", "a")},
		{`LargeFileSHA1 "abc" is not 40 hexadecimal digits`, with(FileOptions{LargeFileSHA1: "abc"}), name("x")},
		{`Retention.Mode "forever" is neither governance nor compliance`, with(FileOptions{Retention: Retention{Mode: "forever"}}), name("x")},
		{`Retention.Mode is "governance" but Retention.Until is not set`, with(FileOptions{Retention: Retention{Mode: Governance}}), name("x")},
		{"but Retention.Mode is empty", with(FileOptions{Retention: Retention{Until: time.Unix(1, 0)}}), name("x")},
		{`LegalHold "yes" is neither on nor off`, with(FileOptions{LegalHold: "yes"}), name("x")},
		{"the key lacks the capability writeFileLegalHolds", unconnected(func(b *Backend) {
			b.options.LegalHold, b.first.capabilities = HoldOn, []string{"writeFiles"}
		}), name("x")},
	} {
		err := c.b.Check(c.spec)
		require.ErrorContains(t, err, c.want)
		require.True(t, strings.HasPrefix(err.Error(), "b2backend: "), err)
	}
}

func TestTheTagNeverMakesAFileTooLarge(t *testing.T) {
	b := unconnected(func(b *Backend) { b.unlocked = true })
	for name, spec := range map[string]sluice.FileSpec{
		"no room":  {Name: "x", Metadata: map[string]string{"k": strings.Repeat("v", 6990)}},
		"ten keys": {Name: "x", Metadata: map[string]string{"0": "", "1": "", "2": "", "3": "", "4": "", "5": "", "6": "", "7": "", "8": "", "9": ""}},
	} {
		d, err := b.describe(spec)
		require.NoError(t, err, name)
		require.Empty(t, d.tag, name)
		require.Equal(t, spec.Metadata, d.tagged(), name)
	}
	d, err := b.describe(sluice.FileSpec{Name: "x"})
	require.NoError(t, err)
	require.NotEmpty(t, d.tag)
	require.Equal(t, map[string]string{tagKey: d.tag}, d.tagged())
	b.options.OmitSluiceID = true
	d, err = b.describe(sluice.FileSpec{Name: "x"})
	require.NoError(t, err)
	require.Empty(t, d.tagged())
}

// The service's grammar, as far as it is documented. Each value is one that
// Backend.Check judges in the same way.
func TestHeaderValuesFollowTheGrammar(t *testing.T) {
	for key, values := range map[string]struct{ good, bad []string }{
		"b2-content-disposition": {
			[]string{"inline", `attachment; filename="a \"b\".tar"`, "attachment;filename=a.tar", "attachment ; filename* = utf-8''%e2%82%ac"},
			[]string{
				"", ";", "attachment;", "attachment; filename", "attachment; filename=", "attachment; ; a=b", `attachment; filename="a`,
				"attachment; filename*0=a; filename*1=b", "attachment; filename*0*=UTF-8''a", "attachment; filename*=ISO-8859-1''a",
				"attachment; filename*=UTF-8'en'a", "attachment; filename*=UTF-8''%zz", "a b", "attachment; filename=ü",
			},
		},
		"b2-content-language": {
			[]string{"de", "en, mi", "zh-Hant-TW", "es-419"}, []string{"", "en,", ",en", "en,,de", "toolongalanguage", "en_US", "419"},
		},
		"b2-content-encoding": {[]string{"gzip", "gzip , zstd"}, []string{"", "gzip,", "g zip", "gzip/1"}},
		"b2-cache-control": {
			[]string{"no-cache", "max-age=3600, public", `private="x, y"`}, []string{"", "max-age=", "max-age=1,", "no cache", `a="b`, "a=b;c"},
		},
		"b2-expires": {
			[]string{"Wed, 02 Jan 2030 03:04:05 GMT", "Wednesday, 02-Jan-30 03:04:05 GMT", "Wed Jan  2 03:04:05 2030"},
			[]string{"", "0", "2030-01-02", "tomorrow"},
		},
	} {
		for _, value := range values.good {
			require.True(t, headerValue(key, value), "%s: %q", key, value)
		}
		for _, value := range values.bad {
			require.False(t, headerValue(key, value), "%s: %q", key, value)
		}
	}
}
