// Multiply-accumulate of logarithmic numbers into a two's-complement integer.
//
// An operand is a sign and L = I.Q, I bits before and Q bits behind the point; it stands for
// (-1)^sign 2^L, or for 0 where L is 0. Logarithms add up to 2^Q·q + r, and the product is
// floor(T[r]·2^q / 2^DROP) in units of 2^(DROP - P), T[r] the integer nearest to 2^(P + r/2^Q).
module lns_mac #(
    parameter I = 3,
    parameter Q = 3,
    parameter P = 6,
    parameter DROP = 0,
    parameter W = 24,
    parameter SATURATE = 1
) (
    input [I+Q:0] a,
    input [I+Q:0] b,
    input signed [W-1:0] accumulator,
    output [W-1:0] sum
);
    localparam STEPS = 1 << Q;
    localparam F = P + 2;                    // T is at most 2^(P + 1)
    localparam T = F + (1 << (I + 1)) - 1;   // shifted by at most 2^(I + 1) - 1
    localparam S = (W > T ? W : T) + 2;

    // Greatest n with n - 1/2 < 2^(P + r/2^Q), exactly: (2n - 1)^(2^Q) < 2^((P + 1)·2^Q + r).
    function [F-1:0] power(input integer r);
        reg [(F+1)*STEPS-1:0] trial;
        integer bit_at, square;
        begin
            power = 0;
            for (bit_at = P + 1; bit_at >= 0; bit_at = bit_at - 1) begin
                trial = 2 * (power + (1 << bit_at)) - 1;
                for (square = 0; square < Q; square = square + 1) trial = trial * trial;
                if (trial >> ((P + 1) * STEPS + r) == 0) power = power + (1 << bit_at);
            end
        end
    endfunction

    wire [STEPS*F-1:0] powers;
    genvar r;
    generate
        for (r = 0; r < STEPS; r = r + 1) begin : entry
            localparam [F-1:0] VALUE = power(r);
            assign powers[r*F+:F] = VALUE;
        end
    endgenerate

    wire [I+Q:0] logarithm = a[I+Q-1:0] + b[I+Q-1:0];
    wire [Q:0] remainder = logarithm & (STEPS - 1);
    wire [F-1:0] factor = powers >> (remainder * F);
    wire [T-1:0] wide = factor;
    wire [T-1:0] magnitude = (wide << (logarithm >> Q)) >> DROP;
    wire nothing = a[I+Q-1:0] == 0 || b[I+Q-1:0] == 0;
    wire signed [T:0] term = nothing ? 0 : magnitude;
    wire signed [S-1:0] total = a[I+Q] ^ b[I+Q] ? accumulator - term : accumulator + term;
    fixed_fit #(.IN(S), .OUT(W), .SATURATE(SATURATE)) fit (.x(total), .y(sum));
endmodule
