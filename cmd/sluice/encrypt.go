package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"github.com/spf13/pflag"
)

// ageIntro is how a file begins that age encrypted, in any version of its format.
const ageIntro = "age-encryption.org/"

// maxWorkFactor bounds what the header of a file with a passphrase makes scrypt take: 2^20 times
// 1 KiB of memory. age itself writes 2^18.
const maxWorkFactor = 20

// maxHeaderError bounds the text of an error about a header, which may quote a line of 2 MiB.
const maxHeaderError = 300

// encryption is what put encrypts to: recipients, or a passphrase.
type encryption struct {
	to, files  []string
	passphrase string // a file

	recipients []age.Recipient // nil: nothing is encrypted
}

func (e *encryption) bind(flags *pflag.FlagSet) {
	addValue(flags, "encrypt-to", "RECIPIENT", setMore(&e.to), "encrypt as age does, after compression, so that the key of RECIPIENT decrypts it: age1..., as age-keygen prints it, or the line of an SSH public key; may be given several times, and each key decrypts it")
	addValue(flags, "recipients-file", "FILE", setMore(&e.files), "encrypt to the recipients in FILE too, one a line; may be given several times")
	addValue(flags, "passphrase-file", "FILE", setText(&e.passphrase), "encrypt with the passphrase in FILE, which has one line, instead; takes 256 MiB of memory for a second at the start")
}

// given reports whether the stream is to be encrypted.
func (e *encryption) given() bool { return len(e.to) > 0 || len(e.files) > 0 || e.passphrase != "" }

// parse reads the recipients. No error repeats what may be a secret.
func (e *encryption) parse() error {
	for _, text := range e.to {
		r, err := parseRecipient(text)
		if err != nil {
			return usagef("--encrypt-to: %w", err)
		}
		e.recipients = append(e.recipients, r)
	}
	for _, name := range e.files {
		if err := e.addFile(name); err != nil {
			return usagef("--recipients-file %s: %w", name, err)
		}
	}
	if e.passphrase == "" {
		return e.mixed()
	}
	if e.recipients != nil {
		return usagef("--passphrase-file goes with no recipients: a file has either a passphrase or keys")
	}
	passphrase, err := readPassphrase(e.passphrase)
	if err != nil {
		return err
	}
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return usagef("--passphrase-file %s: %w", e.passphrase, err)
	}
	e.recipients = []age.Recipient{r}
	return nil
}

func (e *encryption) addFile(name string) error {
	text, err := secret("", name)
	if err != nil {
		return err
	}
	before := len(e.recipients)
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		r, err := parseRecipient(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		e.recipients = append(e.recipients, r)
	}
	if len(e.recipients) == before {
		return errors.New("it has no recipient")
	}
	return nil
}

// mixed returns what age rejects of the recipients together, such as classic and post-quantum
// ones, before CMD is run.
func (e *encryption) mixed() error {
	if e.recipients == nil {
		return nil
	}
	if _, err := age.EncryptReader(strings.NewReader(""), e.recipients...); err != nil {
		return usagef("--encrypt-to: %w", err)
	}
	return nil
}

func parseRecipient(text string) (age.Recipient, error) {
	switch {
	case strings.HasPrefix(text, "age1pq1"):
		return age.ParseHybridRecipient(text)
	case strings.HasPrefix(text, "age1"):
		return age.ParseX25519Recipient(text)
	case strings.HasPrefix(text, "ssh-"):
		return agessh.ParseRecipient(text)
	case strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-"):
		return nil, errors.New("this is a secret key; age-keygen -y prints its recipient")
	}
	return nil, errors.New("this is not a recipient, neither age1... nor an SSH public key of the type ssh-ed25519 or ssh-rsa")
}

// readPassphrase returns the only line of a file.
func readPassphrase(name string) (string, error) {
	text, err := secret("", name)
	switch {
	case err != nil:
		return "", usagef("--passphrase-file: %w", err)
	case text == "":
		return "", usagef("--passphrase-file %s is empty", name)
	case strings.ContainsAny(text, "\r\n"):
		return "", usagef("--passphrase-file %s has more than one line", name)
	}
	return text, nil
}

// decryption is what get and verify decrypt with.
type decryption struct {
	files      []string
	passphrase string // a file

	identities []age.Identity // nil: nothing is decrypted
}

func (d *decryption) bind(flags *pflag.FlagSet) {
	addValue(flags, "identity", "FILE", setMore(&d.files), "decrypt with the keys in FILE, as age-keygen writes it, or with an SSH private key; may be given several times")
	addValue(flags, "passphrase-file", "FILE", setText(&d.passphrase), "decrypt with the passphrase in FILE, which has one line")
}

// parse reads the keys.
func (d *decryption) parse() error {
	for _, name := range d.files {
		identities, err := readIdentities(name)
		if err != nil {
			return usagef("--identity %s: %w", name, err)
		}
		d.identities = append(d.identities, identities...)
	}
	if d.passphrase == "" {
		return nil
	}
	passphrase, err := readPassphrase(d.passphrase)
	if err != nil {
		return err
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return usagef("--passphrase-file %s: %w", d.passphrase, err)
	}
	identity.SetMaxWorkFactor(maxWorkFactor)
	d.identities = append(d.identities, identity)
	return nil
}

func readIdentities(name string) ([]age.Identity, error) {
	text, err := secret("", name)
	switch {
	case err != nil:
		return nil, err
	case strings.HasPrefix(text, ageIntro) || strings.HasPrefix(text, "-----BEGIN AGE"):
		return nil, errors.New("the keys in it are encrypted; age -d decrypts them")
	case strings.HasPrefix(text, "-----BEGIN"):
		identity, err := agessh.ParseIdentity([]byte(text))
		return []age.Identity{identity}, err
	}
	return age.ParseIdentities(strings.NewReader(text))
}

// decrypt returns the content of in, decrypted if there are keys. Then a file that is not
// encrypted is an error: it cannot be the one that was stored.
func (d *decryption) decrypt(in io.Reader) (content io.Reader, encrypted bool, err error) {
	begun := bufio.NewReaderSize(in, 256<<10)
	first, err := begun.Peek(len(ageIntro))
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, false, err
	}
	encrypted = isEncrypted(first)
	switch {
	case d.identities == nil:
		return begun, encrypted, nil
	case !encrypted:
		return nil, false, errors.New("the file is not encrypted, and --identity and --passphrase-file only take one that is")
	}
	content, err = age.Decrypt(begun, d.identities...)
	if e, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		err = fmt.Errorf("what is given does not decrypt the file, which needs %s", d.needed(e.StanzaTypes))
	} else if err != nil && len(err.Error()) > maxHeaderError {
		err = errors.New(err.Error()[:maxHeaderError] + "...")
	}
	return content, true, err
}

func isEncrypted(first []byte) bool { return bytes.HasPrefix(first, []byte(ageIntro)) }

// errEncrypted is that get would write what only age can read.
var errEncrypted = errors.New("the file is encrypted: --identity or --passphrase-file decrypts it, and --encrypted writes it as it is stored, for age -d")

// needed describes the keys that decrypt a file, of which its header has only the types.
func (d *decryption) needed(types []string) string {
	var needed []string
	for _, t := range types {
		text := "a key of type " + t
		switch t {
		case "X25519":
			text = "the key of an age1... recipient"
		case "mlkem768x25519":
			text = "the key of an age1pq1... recipient"
		case "scrypt":
			text = "a passphrase, of --passphrase-file"
			if d.passphrase != "" {
				text = "another passphrase"
			}
		case "ssh-ed25519", "ssh-rsa":
			text = "the SSH key, " + t + ", that it was encrypted to"
		}
		if len(needed) == 0 || needed[len(needed)-1] != text {
			needed = append(needed, text)
		}
	}
	return strings.Join(needed, ", or ")
}
