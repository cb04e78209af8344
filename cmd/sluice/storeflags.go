package main

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// storeFlags are the flags that not every store can honour. The table of schemes says which
// one does.
type storeFlags struct {
	bound []*pflag.FlagSet // those that the command has

	contentType string
	info        map[string]string

	resume       bool
	resumeID     string
	restart      bool
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
	mode      fs.FileMode

	bvType, bvSource string

	storageClass, sseKMSKey string
	tags                    map[string]string
	createOnly, verified    bool
	trusted                 []string // options that the store is trusted with

	region, checksum               string
	plainHTTP, equalParts, ownETag bool
	maxParts                       int
	maxFile                        int64

	uploadTimestamp time.Time
	domains         []string
	omitSluiceID    bool
}

// The names of these flags.
const (
	flagContentType        = "content-type"
	flagInfo               = "info"
	flagResume             = "resume"
	flagResumeID           = "resume-id"
	flagRestart            = "restart-on-mismatch"
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
	flagMode               = "mode"
	flagBVType             = "bv-type"
	flagBVSource           = "bv-source"
	flagStorageClass       = "storage-class"
	flagTag                = "tag"
	flagSSEKMSKey          = "sse-kms-key"
	flagCreateOnly         = "create-only"
	flagVerifyOptions      = "verify-options"
	flagTrustOption        = "trust-option"
	flagRegion             = "region"
	flagChecksum           = "checksum"
	flagPlainHTTP          = "allow-plain-http"
	flagEqualParts         = "equal-parts"
	flagOpaqueETags        = "opaque-etags"
	flagMaxParts           = "max-parts"
	flagMaxFile            = "max-file"
	flagUploadTimestamp    = "upload-timestamp"
	flagDomain             = "domain"
	flagOmitSluiceID       = "omit-sluice-id"
)

// bind adds the flags of the names to a command. Times of retention count from now.
func (f *storeFlags) bind(cmd *cobra.Command, now time.Time, names ...string) {
	f.info, f.tags = make(map[string]string), make(map[string]string)
	for _, g := range []flagGroup{{"Failures", f.failureFlags()}, {"The file", f.fileFlags(now)}, {"The store", f.accessFlags()}} {
		chosen := pflag.NewFlagSet("", pflag.ContinueOnError)
		chosen.SortFlags, g.SortFlags = false, false
		g.VisitAll(func(known *pflag.Flag) {
			if slices.Contains(names, known.Name) {
				chosen.AddFlag(known)
			}
		})
		addFlags(cmd, g.heading, chosen)
		f.bound = append(f.bound, chosen)
	}
}

// uploadFlags are all of them.
var uploadFlags = slices.Concat(
	[]string{
		flagResume, flagResumeID, flagRestart, flagContentType, flagInfo, flagLastModified, flagExpires, flagCacheControl, flagContentDisposition,
		flagContentLanguage, flagContentEncoding, flagLargeFileSHA1, flagStorageClass, flagTag, flagRetention, flagLegalHold, flagCreateOnly,
		flagVerifyOptions, flagTrustOption, flagMode, flagBVType, flagBVSource, flagSSEKMSKey, flagChecksum, flagEqualParts, flagOpaqueETags,
		flagMaxParts, flagMaxFile, flagUploadTimestamp, flagOmitSluiceID,
	}, accessFlags, encryptionFlags)

// accessFlags are for every command that reaches a store, encryptionFlags for those that read or
// write a file.
var (
	accessFlags     = []string{flagPatient, flagEndpoint, flagRegion, flagPathStyle, flagPlainHTTP, flagDomain}
	encryptionFlags = []string{flagSSE, flagSSEKeyFile}
)

func (f *storeFlags) failureFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	fs.BoolVar(&f.patient, flagPatient, false, "for unattended jobs: outlast an outage of the store of half an hour and more; without it two minutes of failures end the command")
	fs.BoolVar(&f.resume, flagResume, false, "resume the newest unfinished large file of that name, if there is one; see sluice help resume")
	addValue(fs, flagResumeID, "ID", setText(&f.resumeID), "resume this large file, which must exist")
	fs.BoolVar(&f.restart, flagRestart, false, "with --resume: upload the whole stream if it does not match what is stored")
	return fs
}

func (f *storeFlags) fileFlags(now time.Time) *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	addValue(fs, flagContentType, "TYPE", setText(&f.contentType), "content type, such as application/x-tar")
	addValue(fs, flagInfo, "KEY=VALUE", setPair(f.info), "metadata; may be given several times")
	addValue(fs, flagLastModified, "TIME", setMoment(&f.lastModified), "when the source was last modified: 2027-01-31 or 2027-01-31T00:00:00Z")
	addValue(fs, flagCacheControl, "TEXT", setText(&f.cacheControl), "the header Cache-Control of downloads")
	addValue(fs, flagContentDisposition, "TEXT", setText(&f.contentDisposition), "the header Content-Disposition of downloads")
	addValue(fs, flagContentLanguage, "TEXT", setText(&f.contentLanguage), "the header Content-Language of downloads")
	addValue(fs, flagContentEncoding, "TEXT", setText(&f.contentEncoding), "the header Content-Encoding of downloads")
	addValue(fs, flagExpires, "TIME", setMoment(&f.expires), "the header Expires of downloads")
	addValue(fs, flagLargeFileSHA1, "HEX", setText(&f.largeFileSHA1), "SHA-1 of the whole stream, if it is known; b2:// keeps it with a large file, and sluice get checks it")
	addValue(fs, flagStorageClass, "CLASS", setText(&f.storageClass), "of s3://: the storage class, such as STANDARD_IA or GLACIER_IR")
	addValue(fs, flagTag, "KEY=VALUE", setPair(f.tags), "of s3://: a tag; may be given several times")
	addValue(fs, flagRetention, "MODE:UNTIL", f.setRetention(now), "keep the file from being deleted before UNTIL, a time or an age such as 30d; MODE is governance or compliance")
	addValue(fs, flagLegalHold, "on|off", setChoice(&f.legalHold, "on|off"), "keep the file from being deleted while it is on")
	fs.BoolVar(&f.createOnly, flagCreateOnly, false, "of s3:// and file://: fail if there is a file of that name")
	addValue(fs, flagUploadTimestamp, "TIME", setMoment(&f.uploadTimestamp), "of b2://: the time of the upload that the store shall keep, which it must have enabled for the account")
	fs.BoolVar(&f.omitSluiceID, flagOmitSluiceID, false, "of b2:// and s3://: leave out the metadata key sluice-id, a random value by which an upload is found whose answer was lost")
	fs.BoolVar(&f.verified, flagVerifyOptions, false, "of s3://: look at the file after it is stored, and fail if the store did not do all that was asked for; without it, only what protects the file is looked at")
	addValue(fs, flagTrustOption, "OPTION", func(s string) error {
		f.trusted = append(f.trusted, s)
		return nil
	}, "of s3://: do not look whether the store did this: Encryption, Retention, LegalHold, CreateOnly; may be given several times")
	addValue(fs, flagMode, "OCTAL", setMode(&f.mode), "of file://: the file's permissions, such as 640; without it 600, or those of the file that it replaces, if that is yours")
	addValue(fs, flagBVType, "TYPE", setText(&f.bvType), "of bv://: FILE_TYPE_VIDEO without it, FILE_TYPE_AUDIO, ...")
	addValue(fs, flagBVSource, "SOURCE", setText(&f.bvSource), "of bv://: FILE_SOURCE_UPLOAD_IN_LIBRARY without it")
	return fs
}

func (f *storeFlags) accessFlags() *pflag.FlagSet {
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	addValue(fs, flagEndpoint, "URL", setText(&f.endpoint), "of s3://: the address of a store that is not Amazon's")
	addValue(fs, flagRegion, "REGION", setText(&f.region), "of s3://: the region; without it that of the AWS environment and files")
	fs.BoolVar(&f.plainHTTP, flagPlainHTTP, false, "permit http:// to other machines, as inside a cluster: data, signatures and keys can then be read on the network")
	addValue(fs, flagDomain, "DOMAIN", setMore(&f.domains), "of b2://: a domain that the store's answers may name hosts of, which get the token, the data and keys; may be given several times. Without it backblazeb2.com and backblaze.com, and with B2_ENDPOINT any")
	fs.BoolVar(&f.pathStyle, flagPathStyle, false, "of s3://: put the bucket into the path, as some stores need it")
	addValue(fs, flagSSE, "b2|s3|kms|c", setChoice(&f.sse, "b2|s3|kms|c"), "encryption by the server: with the key of b2:// or of s3://, with one of AWS KMS, or with yours (c)")
	addValue(fs, flagSSEKMSKey, "ID", setText(&f.sseKMSKey), "the key for --sse kms; without it the bucket's or the account's")
	addValue(fs, flagSSEKeyFile, "FILE", setText(&f.sseKeyFile), "your key for --sse c, 32 bytes in base64; without it, it is in the environment, B2_SSE_C_KEY or S3_SSE_C_KEY. The store does not keep it: a file whose key is lost cannot be read")
	addValue(fs, flagChecksum, "auto|crc64nvme|sha256|md5|none", setChoice(&f.checksum, "auto|crc64nvme|sha256|md5|none"), "of s3://: what bytes are sent with; auto if not given")
	fs.BoolVar(&f.equalParts, flagEqualParts, false, "of s3://: the store takes parts of one size only, as Cloudflare R2, which is known by its endpoint")
	fs.BoolVar(&f.ownETag, flagOpaqueETags, false, "of s3://: the store's ETags are not made of MD5s, as those of Alibaba OSS and Lyve Cloud")
	addValue(fs, flagMaxParts, "N", setCount(&f.maxParts), "of s3://: the most parts of a large file that the store takes, 10,000 if not given")
	addValue(fs, flagMaxFile, "SIZE", setSize(&f.maxFile), "of s3://: the largest file that the store takes, 5 TiB if not given")
	return fs
}

// check rejects the flags that the store cannot honour, and those that contradict each other.
func (f *storeFlags) check(s scheme) (err error) {
	for _, set := range f.bound {
		set.VisitAll(func(given *pflag.Flag) {
			if given.Changed && err == nil && !slices.Contains(s.flags, given.Name) {
				err = fmt.Errorf("%s:// cannot honour --%s", s.name, given.Name)
			}
		})
	}
	switch {
	case err != nil:
		return err
	case f.restart && (!f.resume || f.resumeID != ""):
		return errors.New("--restart-on-mismatch needs --resume, and goes with no --resume-id")
	case f.sseKMSKey != "" && f.sse != "kms":
		return errors.New("--sse-kms-key is the key of --sse kms, which is not given")
	case f.sseKeyFile != "" && f.sse != "c":
		return errors.New("--sse-key-file is the key of --sse c, which is not given")
	}
	return nil
}

// access returns the given flags that say where the store is, as a shell takes them, each after a
// space.
func (s *session) access() string {
	var text strings.Builder
	if s.config != "" {
		text.WriteString(" --" + flagConfig + " " + shellQuote(s.config))
	}
	f := &s.store
	for _, set := range f.bound {
		set.VisitAll(func(given *pflag.Flag) {
			switch {
			case !given.Changed || !slices.Contains([]string{flagEndpoint, flagRegion, flagPathStyle, flagPlainHTTP, flagDomain}, given.Name):
			case given.Name == flagDomain: // each of them
				text.WriteString(" --" + given.Name + " " + strings.Join(f.domains, " --"+given.Name+" "))
			case given.NoOptDefVal != "":
				text.WriteString(" --" + given.Name)
			default:
				text.WriteString(" --" + given.Name + " " + shellQuote(given.Value.String()))
			}
		})
	}
	return text.String()
}

// resumes reports whether an earlier run is to be resumed.
func (f *storeFlags) resumes() bool { return f.resume || f.resumeID != "" }

// setRetention reads MODE:UNTIL.
func (f *storeFlags) setRetention(now time.Time) func(string) error {
	return func(s string) error {
		mode, until, ok := strings.Cut(s, ":")
		if !ok {
			return errors.New("must be MODE:UNTIL")
		}
		if err := setChoice(&f.retentionMode, "governance|compliance")(mode); err != nil {
			return fmt.Errorf("mode %w", err)
		}
		if after, err := parseAge(until); err == nil {
			f.retentionUntil = now.Add(after)
			return nil
		}
		if setMoment(&f.retentionUntil)(until) != nil {
			return fmt.Errorf("until %q must be a time such as 2027-01-31 or 2027-01-31T00:00:00Z, or an age such as 30d or 12h", until)
		}
		return nil
	}
}

// setMode reads permissions as chmod does.
func setMode(to *fs.FileMode) func(string) error {
	return func(s string) error {
		mode, err := strconv.ParseUint(s, 8, 32)
		if err != nil || mode < 1 || mode > 0o777 {
			return errors.New("must be permissions in octal, such as 640")
		}
		*to = fs.FileMode(mode)
		return nil
	}
}
