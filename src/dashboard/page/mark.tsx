/** Three tenants under one roof. */
export const Mark = () => (
  <span class="mark">
    <svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true" focusable="false">
      <path d="M2 8 12 2l10 6" class="roof" />
      <rect x="3" y="11" width="4.5" height="11" rx="1.2" />
      <rect x="9.75" y="11" width="4.5" height="11" rx="1.2" />
      <rect x="16.5" y="11" width="4.5" height="11" rx="1.2" />
    </svg>
    Tenantry
  </span>
)
