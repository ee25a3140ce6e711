// Leading zeros of x by halving; `none` where x is zero (count is then of no meaning).
module leading_zeros #(
    parameter W = 8,         // more than 1
    parameter C = $clog2(W)  // derived: bits of the count
) (
    input [W-1:0] x,
    output reg [C-1:0] count,
    output none
);
    localparam SPAN = 1 << C;
    reg [SPAN-1:0] part;  // the part that holds the first one, at the bottom
    integer i;
    always @* begin
        part = x;
        part = part << (SPAN - W);
        for (i = C - 1; i >= 0; i = i - 1) begin
            count[i] = (part >> (1 << i)) == 0;
            part = count[i] ? part & ((1 << (1 << i)) - 1) : part >> (1 << i);
        end
    end
    assign none = x == 0;
endmodule
