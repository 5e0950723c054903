# What the commands that look after backups have in common.
# shellcheck shell=bash

BACKUP_DIR="${BACKUP_DIR:-/backups}"

say() { echo "helpdesk: $*"; }

refuse() {
  say "$*" >&2
  exit 1
}

# Reads who and where from the variables that the image of PostgreSQL is given.
connect() {
  local name
  for name in POSTGRES_DB POSTGRES_USER POSTGRES_PASSWORD; do
    [[ -n ${!name:-} ]] || refuse "$name is not set."
  done
  export PGHOST="${POSTGRES_HOST:-postgres}" PGPORT="${POSTGRES_PORT:-5432}"
  export PGUSER="$POSTGRES_USER" PGPASSWORD="$POSTGRES_PASSWORD" PGCONNECT_TIMEOUT=10
}

# Prints the path of a backup that is named on the command line; a name leads to no other folder.
backup_named() {
  [[ -n ${1:-} ]] || refuse "Which backup? \`backups\` lists them."
  [[ $1 == "${1##*/}" && $1 == *.dump ]] || refuse "$1 is not the name of a backup."
  [[ -f $BACKUP_DIR/$1 ]] || refuse "There is no backup $1: \`backups\` lists them."
  echo "$BACKUP_DIR/$1"
}

is_intact() {
  (cd "${1%/*}" && sha256sum --check --status "${1##*/}.sha256") && pg_restore --file=/dev/null "$1"
}
