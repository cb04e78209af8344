package protect

import (
	"fmt"
	"time"
)

// CheckLock rejects a retention or a legal hold that no store takes.
func CheckLock(mode string, until time.Time, hold string) error {
	switch {
	case mode == "" && !until.IsZero():
		return fmt.Errorf("Retention.Until is %v but Retention.Mode is empty", until)
	case mode != "" && mode != "governance" && mode != "compliance":
		return fmt.Errorf("Retention.Mode %q is neither governance nor compliance", mode)
	case mode != "" && until.IsZero():
		return fmt.Errorf("Retention.Mode is %q but Retention.Until is not set", mode)
	case hold != "" && hold != "on" && hold != "off":
		return fmt.Errorf("LegalHold %q is neither on nor off", hold)
	}
	return nil
}
